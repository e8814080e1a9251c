#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Speaks to a VM's control socket, and holds all that is said against the schema.

usage: control-schema.py SCHEMA MANUAL SOCKET OTHER-SOCKET OTHER-INPUT

The first VM has a balloon; the other's guest restarts when it reads "r", and powers off when
it reads "q". Prints TAP. What the schema allows to be added later is refused here: then the
schema needs it.
"""

import copy
import json
import re
import socket
import sys

import jsonschema

failed = 0
tests = 0


def report(ok, name, *details):
    global failed, tests
    tests += 1
    failed += not ok
    print(("ok" if ok else "not ok"), tests, "-", name, flush=True)
    for detail in () if ok else details:
        print("#", str(detail).replace("\n", "\n# "))


def without_additions(schema):
    """A copy in which an object that has listed its members has no others."""
    if isinstance(schema, list):
        return [without_additions(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {key: without_additions(value) for key, value in schema.items()}
    if "properties" in schema and "type" in schema:
        strict.setdefault("additionalProperties", False)
    return strict


class Schema:
    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            self.loose = json.load(file)
        jsonschema.Draft202012Validator.check_schema(self.loose)
        self.strict = without_additions(self.loose)
        self.seen = set()

    def validator(self, place, schema=None):
        whole = copy.copy(schema or self.strict)
        whole.pop("oneOf")
        whole["$ref"] = "#/$defs/" + place
        return jsonschema.Draft202012Validator(whole)

    def check(self, place, instance):
        """Raises what is wrong with it."""
        self.validator(place).validate(instance)
        self.seen.add(place)

    def allows(self, place, instance):
        return self.validator(place, self.loose).is_valid(instance)


class Client:
    """One connection; every line that comes is checked."""

    def __init__(self, schema, path):
        self.schema = schema
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(path)
        self.lines = self.socket.makefile("r", encoding="utf-8")
        self.events = []
        self.last_id = 0
        schema.check("greeting", self.next_line())

    def next_line(self):
        line = self.lines.readline()
        return json.loads(line) if line else None

    def send(self, text):
        self.socket.sendall(text.encode() + b"\n")

    def note_event(self, event):
        self.schema.check("event", event)
        self.events.append(event["event"])

    def reply(self, wanted_id):
        while True:
            line = self.next_line()
            if line is None:
                raise EOFError("the VM has closed the connection")
            if "event" in line:
                self.note_event(line)
                continue
            self.schema.check("reply", line)
            if line.get("id") == wanted_id:
                return line

    def ask(self, command, arguments=None):
        self.last_id += 1
        request = {"id": self.last_id, "command": command}
        if arguments is not None:
            request["arguments"] = arguments
        self.send(json.dumps(request))
        reply = self.reply(self.last_id)
        if "result" in reply:
            self.schema.check("results/" + command, reply["result"])
        return request, reply

    def follow(self, last=None):
        """Until the event has come, or the VM has ended."""
        while (line := self.next_line()) is not None:
            self.note_event(line)
            if line["event"] == last:
                return


def good_requests():
    return [
        ("status", None), ("status", {}), ("stat", None), ("config", None),
        ("debug", {"dump": True}), ("pause", None), ("pause", {}), ("resume", None),
        ("balloon", None), ("balloon", {"size_bytes": 4 << 20}), ("balloon", {"change_bytes": -4096}),
        ("power-button", None), ("debug", {"sysrq": "h"}), ("debug", {"nmi": 0}),
    ]


def bad_requests():
    return [
        ("balloon", {"size_bytes": "4"}), ("balloon", {"size": 4}), ("debug", {}), ("debug", None),
        ("console", {"history": 1}), ("debug", {"sysrq": "hh"}), ("debug", {"dump": 1}), ("stop", {"force": "yes"}),
        ("stop", {"timeout_ms": -1}), ("stop", {"timeout_ms": 10**10}), ("stop", {"now": True}),
        ("fly", None),
    ]


def bad_lines():
    return ["x", "[]", "5", "{}", '{"command":5}', '{"id":[],"command":"status"}',
            '{"id":1,"command":"status","arguments":[]}']


def code_of(reply):
    return reply.get("error", {}).get("code")


def try_requests(schema, client):
    for command, arguments in good_requests():
        request, reply = client.ask(command, arguments)
        report(schema.allows("request", request) and
               code_of(reply) not in ("invalid-argument", "bad-request", "unknown-command"),
               f"{command} {arguments or ''}", reply)
    for command, arguments in bad_requests():
        request, reply = client.ask(command, arguments)
        report(not schema.allows("request", request) and "error" in reply,
               f"refused: {command} {arguments or ''}", reply)


def is_request(schema, text):
    try:
        return schema.allows("request", json.loads(text))
    except json.JSONDecodeError:
        return False


def try_lines(schema, path):
    for text in bad_lines():
        client = Client(schema, path)
        client.send(text)
        line = client.next_line()
        schema.check("reply", line)
        report(code_of(line) == "bad-request" and not is_request(schema, text),
               f"refused: '{text}'", line)
    client = Client(schema, path)
    for text in ('{"command":"status"}', '{"command":"status","id":"a"}',
                 '{"command":"status","id":1.5}'):
        client.send(text)
        report("result" in client.reply(json.loads(text).get("id")) and is_request(schema, text),
               f"accepted: {text}")


def try_console(schema, path):
    """Each has a connection of its own, which is no JSON's any more."""
    for arguments in None, {"history": False, "read_only": True}:
        request, reply = Client(schema, path).ask("console", arguments)
        report(schema.allows("request", request) and "result" in reply,
               f"console {arguments or ''}", reply)
    viewer, client = Client(schema, path), Client(schema, path)
    number = viewer.ask("console")[1]["result"]["viewer"]
    for size in {"columns": 132, "rows": 43}, {"columns": 65535, "rows": 65535}:
        request, reply = client.ask("console-size", {"viewer": number, **size})
        report(schema.allows("request", request) and "result" in reply, f"console-size {size}", reply)
    for size in {"columns": 132}, {"columns": 0, "rows": 43}, {"columns": 80, "rows": 65536}, {"rows": "a"}:
        request, reply = client.ask("console-size", {"viewer": number, **size})
        report(not schema.allows("request", request) and code_of(reply) == "invalid-argument",
               f"refused: console-size {size}", reply)


def names_in_manual(manual, heading):
    """The first column of the table below the heading."""
    section = manual.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`.*?`) \|", section, re.M)
    return {name for row in rows for name in re.findall(r"`([a-z0-9-]+)`", row)}


def names_in_schema(schema, place):
    definition = schema.loose["$defs"][place]
    names = set()
    for kind in definition["oneOf"]:
        name = kind["properties"][place if place == "event" else "command"]
        names |= set(name.get("enum", [name.get("const")]))
    return names


def compare_with_manual(schema, path):
    with open(path, encoding="utf-8") as file:
        manual = file.read()
    commands = names_in_manual(manual, "Commands")
    results = set(schema.loose["$defs"]["results"]) - {"description"}
    codes = set(schema.loose["$defs"]["error"]["properties"]["code"]["enum"])
    for name, ours, theirs in (
            ("the manual has the same commands", commands, names_in_schema(schema, "request")),
            ("the same results", commands, results),
            ("the same events", names_in_manual(manual, "Events"), names_in_schema(schema, "event")),
            ("the same codes", names_in_manual(manual, "Lines"), codes)):
        report(ours == theirs, name, f"control.md: {sorted(ours)}", f"schema: {sorted(theirs)}")
    return results


def main():
    schema = Schema(sys.argv[1])
    results = compare_with_manual(schema, sys.argv[2])
    subscriber, other = Client(schema, sys.argv[3]), Client(schema, sys.argv[4])
    for client in subscriber, other:
        client.ask("subscribe")
    client = Client(schema, sys.argv[3])
    try_requests(schema, client)
    try_lines(schema, sys.argv[3])
    try_console(schema, sys.argv[3])
    with open(sys.argv[5], "w", encoding="utf-8") as keys:
        keys.write("r")
        keys.flush()
        other.follow("reset")
        keys.write("q")
    other.follow()
    report(other.events == ["reset", "stopped"], "events of a VM that restarts", other.events)
    client.ask("stop", {"force": True})
    subscriber.follow()
    report({"paused", "resumed", "balloon", "stopped"} <= set(subscriber.events),
           "events of a VM that is stopped", subscriber.events)
    unseen = {name for name in results if "results/" + name not in schema.seen}
    report(unseen <= {"power-button"}, "each result was seen", unseen)
    print(f"# {tests} tests")
    return failed != 0


sys.exit(main())
