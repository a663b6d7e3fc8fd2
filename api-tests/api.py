"""One way to call the clients that were generated from Harbor's contract, whichever their names for things are."""
import functools
import importlib
import inspect
import re

import contract


class Missing(Exception):
    """An operation that the server does not have yet."""


class Refused(Exception):
    def __init__(self, status, body):
        super().__init__(f"{status}: {body}")
        self.status = status


class Api:
    """A generated package, as one account uses it."""

    def __init__(self, package, gantry, name, password, there, called):
        self.package = importlib.import_module(package)
        self.errors = importlib.import_module(f"{package}.{'rest' if package == 'harbor_client' else 'exceptions'}")
        self.gantry, self.name, self.called = gantry, name, called
        settings = self.package.Configuration()
        settings.host = gantry.url + "/api/v2.0"
        settings.username, settings.password, settings.ssl_ca_cert = name, password, str(gantry.ca)
        self.client = self.package.ApiClient(settings)
        self.headers, self.status = {}, 0
        # Clients of an older Harbor do not know all operations.
        self.there = {operation for operation in there if self.method(operation)}

    def also(self, name, password):
        """The same as another account."""
        return Api(self.package.__name__, self.gantry, name, password, self.there, self.called)

    def has(self, operation):
        return operation in self.there

    def __getattr__(self, operation):
        return lambda *given, **named: self.call(operation, *given, **named)

    def call(self, operation, *given, **named):
        """The answer's value, as dicts and lists."""
        if operation not in self.there:
            raise Missing(operation)
        self.called.add(operation)
        method = self.method(operation)
        try:
            data, self.status, self.headers = method(*given, **named)
        except self.errors.ApiException as refused:
            raise Refused(refused.status, refused.body) from None
        return plain(data)

    def method(self, operation):
        """The client's method for an operation: their names differ in underscores."""
        found = methods(self.package).get(bare(operation) + "withhttpinfo")
        return getattr(found[0](self.client), found[1]) if found else None

    def make(self, model, **fields):
        return getattr(self.package, model)(**fields)

    def new_id(self):
        """The id in the last answer's Location."""
        return int(self.headers["Location"].rstrip("/").split("/")[-1])

    def refuses(self, status, operation, *given, **named):
        """Asserts that a call is refused."""
        try:
            value = self.call(operation, *given, **named)
        except Refused as refused:
            assert refused.status == status, f"{operation}: {refused}, not {status}"
        else:
            raise AssertionError(f"{operation} is not refused: {value}")


@functools.cache
def methods(package):
    """Classes and names of a client's methods."""
    kinds = [kind for name, kind in inspect.getmembers(package, inspect.isclass) if name.endswith("Api")]
    return {bare(name): (kind, name) for kind in kinds for name in dir(kind)}


def bare(name):
    return name.replace("_", "").lower()


def plain(value):
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    return value.to_dict() if hasattr(value, "to_dict") else value


def operations_there(document):
    """Ids of Harbor's operations that our own document lists."""
    ours = {(method.upper(), shape(path)) for path, item in document["paths"].items() for method in item}
    return {name for method, path, name, _ in contract.operations() if (method, shape("/api/v2.0" + path)) in ours}


def shape(path):
    return re.sub(r"\{.*?\}", "{}", path.rstrip("/"))
