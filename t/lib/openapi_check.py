"""Compares what a server answered with the OpenAPI document: PortalTest.pm runs this when a test file ends.

    openapi_check.py openapi.json answers.jsonl

One answer a line: {method, path, accept, sent, status, headers, body}; bodies as their bytes, one character each,
`sent` null where it does not matter.
Prints what does not fit: the request, the place in the answer, the place in the schema, and what is wrong there.
"""
import json
import posixpath
import re
import sys
from urllib.parse import unquote_to_bytes

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

# what any request may be answered before its route is known
EARLY = {"401": "Unauthorized", "429": "TooManyRequests", "503": "Unavailable"}


class Document:
    def __init__(self, document):
        self.document = document
        self.paths = [(re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path)) + r"/?\Z"), path, item)
                      for path, item in document["paths"].items()]
        # a path as it stands goes before a pattern
        self.paths.sort(key=lambda each: each[1].count("{"))
        self.validators = {}

    def inline(self, value):
        """The value with every reference replaced by what is there: none of ours goes in circles."""
        if isinstance(value, dict):
            if "$ref" in value:
                _, _, kind, name = value["$ref"].split("/")
                return self.inline(self.document["components"][kind][name])
            return {key: self.inline(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self.inline(each) for each in value]
        return value

    def problems(self, key, schema, value):
        """What is wrong with a value, in words; a schema is compiled once."""
        if key not in self.validators:
            self.validators[key] = Draft202012Validator(self.inline(schema))
        for error in self.validators[key].iter_errors(value):
            error = best_match([error])
            yield (f"{error.json_path} at {'/'.join(map(str, error.absolute_schema_path))}: "
                   f"{error.message[:300]}")

    def find(self, path):
        for pattern, template, item in self.paths:
            if pattern.match(path):
                return template, item
        return None, None


def path_of(target):
    """As nginx reads it: without the query, decoded, without dots and double slashes."""
    target = re.sub(r"^https?://[^/]*", "", target).split("?")[0].split("#")[0]
    text = unquote_to_bytes(target).decode("utf-8", "replace")
    path = posixpath.normpath(re.sub("/+", "/", text))
    return path + ("/" if text.endswith("/") and path != "/" else "")


def parse(text):
    return json.loads(text.encode("latin-1").decode("utf-8"))


def responses_of(document, answer):
    """The name of the operation, what it may answer, and its request's body; or a sentence that says why not."""
    path = path_of(answer["path"])
    method = answer["method"].lower()
    prefix = "ClientPortal" if path.startswith("/api/v1/client-portal") else ""

    def failures(**more):
        return {status: {"$ref": f"#/components/responses/{prefix}{name}"} for status, name in {**EARLY, **more}.items()}

    template, item = document.find(path)
    # a location may leave the route's group out
    if item is None or (str(answer["status"]) == "404" and answer["body"] == '{"detail":"Not Found"}'):
        return "no path", failures(**{"404": "NotFound"}), None
    if method == "options":
        return f"OPTIONS {template}", {**failures(), "204": {"description": ""}}, None
    operation = item.get("get" if method == "head" else method)
    if operation is None:
        return f"no method of {template}", failures(**{"405": "MethodNotAllowed"}), None
    return f"{answer['method']} {template}", operation["responses"], operation.get("requestBody")


def check(document, answer):
    operation, responses, request_body = responses_of(document, answer)
    status = str(answer["status"])
    if status not in responses:
        yield f"{operation}: the document has no such answer"
        return
    response = responses[status]
    # a reference is its own key: many operations share it
    key = response.get("$ref", (operation.replace("HEAD ", "GET "), status))
    if "$ref" in response:
        response = document.document["components"]["responses"][key.split("/")[-1]]
    for name, header in response.get("headers", {}).items():
        known = header["$ref"].split("/")[-1]
        header = document.document["components"]["headers"][known]
        value = answer["headers"].get(name.lower())
        if value is None:
            if header.get("required"):
                yield f"{operation}: header {name} is not there"
        else:
            for problem in document.problems(("header", known), header["schema"], value):
                yield f"{operation}: header {name}: {problem}"
    if answer["method"] != "HEAD":
        yield from check_content(document, operation, key, response, answer)
    if request_body and status.startswith("2"):
        yield from check_request(document, operation, request_body, answer)


def check_content(document, operation, key, response, answer):
    kind = answer["headers"].get("content-type")
    content = response.get("content")
    if not content:
        if answer["body"] or kind:
            yield f"{operation}: a body ({kind}) where there is none"
        return
    if kind.partition(";")[0] not in content:
        yield f"{operation}: Content-Type {kind} is not one of {', '.join(content)}"
        return
    if (kind == "application/problem+json") != (len(content) > 1 and "problem+json" in answer["accept"].lower()
                                                and not re.search(r"problem\+json\s*;\s*q=0(?![.]\d*[1-9])", answer["accept"])):
        yield f"{operation}: Content-Type {kind} for Accept: {answer['accept']}"
    if not kind.endswith("json"):
        return
    try:
        body = parse(answer["body"])
    except ValueError as error:
        yield f"{operation}: the body is no JSON: {error}"
        return
    for problem in document.problems((key, kind), content[kind]["schema"], body):
        yield f"{operation}: {problem}"


def check_request(document, operation, request_body, answer):
    if answer["sent"] is None:
        return
    if not answer["sent"]:
        if request_body["required"]:
            yield f"{operation}: answered without a body, which is required"
        return
    for problem in document.problems((operation, "sent"), request_body["content"]["application/json"]["schema"],
                                     parse(answer["sent"])):
        yield f"{operation}: the request's body: {problem}"


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        document = Document(json.load(file))
    with open(sys.argv[2], encoding="utf-8") as file:
        for line in file:
            answer = json.loads(line)
            for problem in check(document, answer):
                print(f"{answer['method']} {answer['path']} -> {answer['status']}: {problem}")


main()
