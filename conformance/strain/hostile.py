"""Requests byte by byte, as no client would send them."""

import base64
import hashlib
import re
import socket
import ssl
import threading
import time
import urllib.parse

import programs


def authorization(service):
    signed = programs.AUTHORIZATION.format(service)
    return f"Authorization: {signed}\r\nX-Amz-Date: 20260101T000000Z\r\nX-Amz-Content-Sha256: UNSIGNED-PAYLOAD\r\n"


def connect(url):
    at = urllib.parse.urlsplit(url)
    connection = socket.create_connection((at.hostname, at.port), timeout=20)
    if at.scheme != "https":
        return connection
    # Whose certificate it is does not matter to who means no good.
    return ssl._create_unverified_context().wrap_socket(connection, server_hostname="localhost")


def head(service, line, headers=""):
    return f"{line} HTTP/1.1\r\nHost: localhost\r\n{authorization(service)}{headers}\r\n".encode()


def document(service, line, body, headers=""):
    if service == "s3":  # which looks into no document that comes without a digest
        headers += f"Content-MD5: {base64.b64encode(hashlib.md5(body).digest()).decode()}\r\n"
    return head(service, line, f"{headers}Content-Length: {len(body)}\r\n") + body


def endless(piece=b"10000\r\n" + b"x" * 65536 + b"\r\n", times=16_000):
    """A GiB of chunks without an end."""
    return (piece for _ in range(times))


def is_whole(answer):
    start, end, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"\r\ncontent-length: (\d+)", start.lower())
    return bool(end and length) and len(body) >= int(length[1])


def read(connection):
    """An answer, or what there is of it."""
    answer = b""
    try:
        while not is_whole(answer) and (chunk := connection.recv(65536)):
            answer += chunk
    except OSError:
        pass
    return answer


def send(url, first, more=(), patience=20, before=b""):
    """What is answered: the status, or "closed", and the text. `more` is sent as long as it is taken. `before` is a request of
    which the same connection has an answer already."""
    with connect(url) as connection:
        connection.settimeout(patience)
        if before:
            connection.sendall(before)
            said = read(connection)
            assert said.startswith(b"HTTP/1.1 200"), said
        try:
            connection.sendall(first)
            for piece in more:
                connection.sendall(piece)
        except OSError:
            pass  # it does not want to hear more; what it said stands there
        answer = read(connection)
    words = answer.split(b" ", 2)
    return (words[1].decode() if len(words) > 1 else "closed"), answer.decode(errors="replace")


class Meanwhile(threading.Thread):
    """A client that behaves, all the while: `once` is what it does, again and again."""

    def __init__(self, once):
        super().__init__()
        self.once, self.stop, self.slowest, self.times, self.problem = once, threading.Event(), 0, 0, None

    def run(self):
        try:
            while not self.stop.wait(0.02):
                begun = time.monotonic()
                self.once()
                self.slowest, self.times = max(self.slowest, time.monotonic() - begun), self.times + 1
        except Exception as problem:  # noqa: BLE001 - told at the end
            self.problem = problem

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, *_):
        self.stop.set()
        self.join()
        assert kind or not self.problem, self.problem
