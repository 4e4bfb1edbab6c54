"""A million keys on the disk engine, in a hundred folders."""

import http.client
import os
import time
import urllib.parse

import programs
import sizes
from conftest import processor_time

KEYS = int(os.environ.get("STRAIN_KEYS", 1_000_000))
FEW = 10_000
FOLDERS = 100
AT_ONCE = 20
SPENT_SECONDS = 1
LISTS = {
    "a page of 1,000": "?list-type=2&max-keys=1000",
    "a page of 1,000 from the middle": "?list-type=2&max-keys=1000&start-after=d050/k11-0-000000",
    "100 folders by their delimiter": "?list-type=2&delimiter=/",
    "a page of a folder, with a delimiter": "?list-type=2&delimiter=/&max-keys=90&prefix=d050/",
    "version 1, 100 folders by their delimiter": "?delimiter=/",
}


def fill(url, count):
    programs.s3("PUT", "/b").send(url)
    # Keys are as long whether wrk makes them (many) or not: it appends a thread's number and nine digits.
    keys = "k1" if count // FOLDERS > 2_000 else "k11-0-000000"
    for folder in range(FOLDERS):
        sizes.fill(url, programs.s3("PUT", f"/b/d{folder:03}/", b"x"), count // FOLDERS, keys=keys)


class Lister:
    def __init__(self, service):
        self.service = service
        self.connection = http.client.HTTPConnection(urllib.parse.urlsplit(service.url).netloc, timeout=60)
        self.headers = programs.s3("GET", "/").headers
        self.spent = self.pages = 0

    def page(self, path):
        self.connection.request("GET", path, headers=self.headers)
        answer = self.connection.getresponse()
        body = answer.read()
        assert answer.status == 200, body
        return body

    def pages_of(self, path, what):
        before = processor_time(self.service)
        for _ in range(AT_ONCE):
            body = self.page(path)
            expected = (b"<Prefix>", 100) if "folders" in what else (b"<Key>", 90 if "of a folder" in what else 1000)
            assert body.count(expected[0]) >= expected[1], f"{what}: {body[:300]}"
        self.spent += processor_time(self.service) - before
        self.pages += AT_ONCE


def test_a_million_keys_are_opened_again_and_listed_as_ten_thousand_are(s3, tmp_path_factory):
    begun = time.perf_counter()
    many = s3(log="warn")
    fill(many.url, KEYS)
    print(f"\n{KEYS:,} keys put in {time.perf_counter() - begun:.0f} s; {many.peak_mib():.0f} MiB resident at most")

    for end in (many.end, many.kill):
        end()
        many = s3()
        ready = time.perf_counter() - many.started
        body = Lister(many).page("/b?list-type=2&max-keys=10")
        took = time.perf_counter() - many.started
        assert body.count(b"<Key>") == 10
        print(f"opened again in {ready * 1000:.0f} ms, first page after {took * 1000:.0f} ms ({end.__name__}); {many.peak_mib():.0f} MiB resident")
        assert took < 2

    with programs.service("s3", str(tmp_path_factory.mktemp("few"))) as few:
        fill(few.url, FEW)
        slow = []
        for what, query in LISTS.items():
            listers = {"many": Lister(many), "few": Lister(few)}
            while min(lister.spent for lister in listers.values()) < SPENT_SECONDS:
                for lister in listers.values():
                    lister.pages_of("/b" + query, what)
            took = {name: lister.spent / lister.pages for name, lister in listers.items()}
            ratio = took["few"] / took["many"]
            print(f"{what}: {took['many'] * 1000:.2f} ms of processor time of {KEYS:,}, {took['few'] * 1000:.2f} ms of {FEW:,}; {ratio:.2f} of its speed")
            # Each folder is a way down a tree that is a third deeper and lies in no cache, for a hundred times as many keys.
            slow += [what] if ratio < (0.7 if "folders" in what else 0.8) else []
        assert not slow
