"""PynamoDB, an object mapper of its own over botocore."""

import pytest

pynamodb = pytest.importorskip("pynamodb")

from pynamodb.attributes import JSONAttribute, ListAttribute, NumberAttribute, UnicodeAttribute, UnicodeSetAttribute, VersionAttribute  # noqa: E402
from pynamodb.connection import Connection  # noqa: E402
from pynamodb.exceptions import PutError, UpdateError  # noqa: E402
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex  # noqa: E402
from pynamodb.models import Model  # noqa: E402
from pynamodb.transactions import TransactWrite  # noqa: E402

from stack import KEYS, REGION, endpoint, unique  # noqa: E402


class ByAuthor(GlobalSecondaryIndex):
    class Meta:
        index_name = "by-author"
        projection = AllProjection()

    author = UnicodeAttribute(hash_key=True)
    number = NumberAttribute(range_key=True)


class Post(Model):
    class Meta:
        table_name = unique("posts")
        region = REGION
        host = endpoint()
        billing_mode = "PAY_PER_REQUEST"
        aws_access_key_id = KEYS["aws_access_key_id"]
        aws_secret_access_key = KEYS["aws_secret_access_key"]

    forum = UnicodeAttribute(hash_key=True)
    number = NumberAttribute(range_key=True)
    author = UnicodeAttribute(default="nobody")
    views = NumberAttribute(default=0)
    tags = UnicodeSetAttribute(null=True)
    lines = ListAttribute(default=list)
    extra = JSONAttribute(null=True)
    version = VersionAttribute()
    by_author = ByAuthor()


@pytest.fixture(scope="module", autouse=True)
def posts():
    Post.create_table(wait=True)
    yield
    Post.delete_table()


def test_a_model_is_saved_found_and_changed():
    post = Post("rust", 1, author="ann", tags={"a", "b"}, lines=["one", {"two": 2}], extra={"deep": [1, None]})
    post.save()
    found = Post.get("rust", 1)
    assert (found.author, found.tags, found.extra, found.version) == ("ann", {"a", "b"}, {"deep": [1, None]}, 1)
    found.update(actions=[Post.views.add(3), Post.tags.delete({"a"})])
    assert (found.views, found.tags, found.version) == (3, {"b"}, 2)
    with pytest.raises(PutError):
        post.save()  # its version is the older one
    with pytest.raises(UpdateError):
        found.update(actions=[Post.views.set(0)], condition=Post.views > 100)
    assert Post.exists()


def test_queries_indexes_batches_and_counts():
    with Post.batch_write() as batch:
        for number in range(40):
            batch.save(Post("pages", number, author="bob" if number % 2 else "eve"))
    assert [post.number for post in Post.query("pages", Post.number.between(5, 8), scan_index_forward=False)] == [8, 7, 6, 5]
    assert [post.number for post in Post.by_author.query("bob", limit=3)] == [1, 3, 5]
    assert Post.count("pages", filter_condition=Post.author == "eve") == 20
    assert len(list(Post.batch_get([("pages", number) for number in range(10)]))) == 10
    results = Post.query("pages", limit=7)
    first = [post.number for post in results]
    rest = [post.number for post in Post.query("pages", last_evaluated_key=results.last_evaluated_key)]
    assert first + rest == list(range(40))


def test_a_transaction_of_models(monkeypatch):
    # A connection of its own takes its keys from the environment.
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEYS["aws_access_key_id"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEYS["aws_secret_access_key"])
    connection = Connection(region=REGION, host=endpoint())
    with TransactWrite(connection=connection) as transaction:
        transaction.save(Post("tx", 1))
        transaction.save(Post("tx", 2))
    assert Post.count("tx") == 2
