"""Hostile and wrong profiles for tests: the text, the place that its problem names, and a part of
its sentence."""

OK = "id: acme\ntitle: Acme\nhosts: [a.test]\nrules: [{id: a, action: mock}]\n"


def _title(text: str) -> str:
    return OK.replace("Acme", text)


def _hosts(text: str) -> str:
    return OK.replace("[a.test]", text)


def _port(text: str) -> str:
    return _hosts(f"[{{name: a.test, ports: {text}}}]")


def _answer(text: str) -> str:
    return OK.replace("action: mock", f"action: mock, answer: {{{text}}}")


def _match(text: str) -> str:
    return OK.replace("id: a,", f"id: a, match: {{{text}}},")


HOSTILE: dict[str, tuple[str | bytes, str, str]] = {
    "a tag that runs": (_title("!!python/object/apply:os.system ['id']"), "line 2", "the tag"),
    "a tag that names": (_title("!!python/name:os.system"), "line 2", "constructor for the tag"),
    "a tag of one's own": (_title("!secret x"), "line 2", "constructor for the tag"),
    "bytes": (_title("!!binary AAAA"), "title", "is not text"),
    "a set": (_hosts("!!set {a.test}"), "hosts", "is not a list"),
    "pairs in order": (_hosts("!!omap [a: b]"), "hosts[0]", "is not a mapping"),
    "a day as an id": (OK.replace("acme", "2026-01-01", 1), "id", "is not text"),
    "a day that is none": (_title("2026-99-99"), "line 2", "'2026-99-99' is no timestamp"),
    "a bool that is none": (_title("!!bool x"), "line 2", "'x' is no bool"),
    "a time that is none": (_title("!!timestamp x"), "line 2", "'x' is no timestamp"),
    "an int that is none": (_title("!!int x"), "line 2", "'x' is no int"),
    "a float that is none": (_title("!!float x"), "line 2", "'x' is no float"),
    "a mapping that is none": (_title("!!map x"), "line 2", "expected a mapping"),
    "an int of 5,000 digits": (_title("9" * 5000), "line 2", "is no int"),
    "sixty minutes": (_title("190:20:30"), "title", "is not text"),
    "NaN": (_title(".nan"), "title", ".nan is not text"),
    "an alias": ("a: &a [x]\nb: *a\n" + OK, "line 2", "alias *a is not supported"),
    "a bomb of aliases": ("a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]\n", "line 2", "alias *a"),
    "a merge": (OK + "<<: {id: other}\n", "line 5", "a merge << is not supported"),
    "a key twice": (OK + "id: b\n", "line 5", "'id' stands here twice"),
    "a key twice, in quotes": (OK + '"id": b\n', "line 5", "'id' stands here twice"),
    "a key twice, below": (_answer("status: 200, status: 201"), "line 4", "stands here twice"),
    "a key that is a list": (OK + "[a]: x\n", "line 5", "a key is text"),
    "a key that is null": (OK + "~: x\n", "None", "should be strings"),
    "nested without end": ("[" * 10_000, "line 1", "nested more than 50 deep"),
    "mappings without end": ("{a: " * 60, "line 1", "nested more than 50 deep"),
    "UTF-16": (OK.encode("utf-16"), "", "is not UTF-8 text"),
    "UTF-32": (OK.encode("utf-32"), "", "is not UTF-8 text"),
    "Latin-1": (_title("\u00c4").encode("latin-1"), "", "is not UTF-8 text (byte 16 is 0xc4)"),
    "NUL": (_title("A\0"), "", "unacceptable character #x0000"),
    "an escape": (_title("A\x1b[31m"), "", "unacceptable character #x001b"),
    "half a character": (_title('"\\ud800"'), "title", "unable to parse"),
    "a character that is none": (_title('"\\U00110000"'), "", "not in range"),
    "two documents": (OK + "---\n" + OK, "line 5", "found another document"),
    "a later YAML": ("%YAML 9.9\n---\n" + OK, "line 1", "incompatible YAML document"),
    "nothing": ("", "", "holds no profile"),
    "a list": ("- a", "", "holds ['a'], no profile"),
    "a title of 900 KB": (_title("x" * 900_000), "title", "at most 4000 characters"),
    "20,000 hosts": (_hosts(f"[{','.join(f'h{n}.test' for n in range(20_000))}]"), "hosts",
                     "has 20,000 items"),
    "20,000 sensitive fields": (
        OK + f"sensitive: [{', '.join(f'{{field: any.a{n}, as: mask}}' for n in range(20_000))}]",
        "sensitive", "has 20,000 items",
    ),
    "600 rules": (
        OK.replace("[{id: a, action: mock}]", f"[{'{id: a, action: mock},' * 600}]"), "rules",
        "at most 500 items",
    ),
    "no hosts": (_hosts("[]"), "hosts", "at least 1 item"),
    "hosts that are a mapping": (_hosts("{a: b}"), "hosts", "is not a list"),
    "a host that is null": (_hosts("[~]"), "hosts[0]", "None is not"),
    "a host in other letters": (_hosts("[b\u00fccher.test]"), "hosts[0]", "is not a host name"),
    "a host with a line end": (_hosts('["a.test\\nb"]'), "hosts[0]", "is not a host name"),
    "a host of 9,000 letters": (_hosts(f"[{'a' * 9000}]"), "hosts[0]", "is not a host name"),
    "every host": (_hosts("['*']"), "hosts[0]", "is not a host name"),
    "port 0": (_port("[0]"), "hosts[0].ports[0]", "greater than or equal to 1"),
    "port 65536": (_port("[65536]"), "hosts[0].ports[0]", "less than or equal to 65535"),
    "port -1": (_port("[-1]"), "hosts[0].ports[0]", "greater than or equal to 1"),
    "port 1e3": (_port("[1e3]"), "hosts[0].ports[0]", "'1e3' is not a whole number"),
    "port true": (_port("[true]"), "hosts[0].ports[0]", "True is not a whole number"),
    "nine ports": (_port("[1, 2, 3, 4, 5, 6, 7, 8, 9]"), "hosts[0].ports", "at most 8 items"),
    "a header in a header": (
        _answer('headers: {x: "a\\r\\nb: c"}'), "rules[0].answer", "no header",
    ),
    "a header's name with a line end": (
        _answer('headers: {"x\\r\\ny": a}'), "rules[0].answer.headers.x\r\ny", "name of a header",
    ),
    "a pseudo header": (
        _answer("headers: {':status': x}"), "rules[0].answer.headers.:status", "name of a header",
    ),
    "framing": (_answer("headers: {Content-Length: '5'}"), "rules[0].answer", "by telemock itself"),
    "a header of 500 KB": (_answer(f"headers: {{x: {'y' * 500_000}}}"), "rules[0].answer",
                           "has 500,000 characters"),
    "900 headers": (
        _answer(f"headers: {{{','.join(f'h{n}: x' for n in range(900))}}}"),
        "rules[0].answer.headers", "at most 100 items",
    ),
    "a status without end": (_answer("status: .inf"), "rules[0].answer.status", "whole number"),
    "a status of 3,000 digits": (_answer("status: " + "9" * 3000), "rules[0].answer.status", "599"),
    "half a template": (_answer("template: '{{'"), "rules[0].answer.template", "is not a Jinja2"),
    "a file that is a list": (_answer("file: [a]"), "rules[0].answer.file", "is not text"),
    "a delay of years": (_answer("delay: 99999d"), "rules[0].answer.delay", "at most 60s"),
    "a regex with a look": (
        _match("path: {regex: '(?=a)'}"), "rules[0].match.path.regex", "is not an RE2",
    ),
    "a regex without end": (
        _match("path: {regex: '(a{1000}){1000}'}"), "rules[0].match.path.regex", "is not an RE2",
    ),
    "a path with NUL": (_match('path: "/\\0"'), "rules[0].match.path", "is not a path"),
    "a method in lower case": (_match("methods: [get]"), "rules[0].match.methods[0]", "upper case"),
    "an id that leads up": (OK.replace("acme", "../x", 1), "id", "is not an id"),
    "an id with a line end": (OK.replace("acme", '"a\\n"', 1), "id", "is not an id"),
    "an id in wide letters": (OK.replace("acme", "\uff41cme", 1), "id", "is not an id"),
    "a key that runs": (OK + "exec: rm\n", "exec", "is not a key"),
    "a key of Python": (OK + "__class__: x\n", "__class__", "is not a key"),
}  # fmt: skip
