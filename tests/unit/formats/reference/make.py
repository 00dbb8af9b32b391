"""Record what sigs.k8s.io/yaml makes of a corpus. Run by hand: `python make.py`, needs Go; writes yaml.jsonl."""

import json
import random
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
SEED = 20_260_801

WORDS = """
y Y yes Yes YES yEs n N no No NO nO true True TRUE tRue false False FALSE on On ON oN off Off OFF null Null NULL nUll ~
.inf .Inf .INF +.inf -.inf -.Inf .nan .NaN .NAN .NAn 0 -0 +0 00 01 07 08 09 010 0o10 0O7 0o8 0x1F 0X1f 0xg 0b101 0B1
0b2 -0b11 +0b11 -0x1f 1_000 1__0 _1 1_ 0x_1 -_1 1e3 1E3 1e+3 1e-3 1.5e3 .5 .5e1 +.5 -.5 5. 5.e1 1.0 -1.0 1.10 1e999
-1e999 .5e999 12e03 1e10 012e1 9223372036854775807 9223372036854775808 -9223372036854775808 -9223372036854775809
18446744073709551615 18446744073709551616 +18446744073709551615 99999999999999999999999 1e18 1e19 1e20 1e21 1e22 1e-7
123456789.123456789 0.1 0.30000000000000004 1.7976931348623157e308 4.9e-324 1e-400 2001-01-01 2001-1-1 2001-13-40
2001-12-14T21:59:43.10-05:00 2001-12-14t21:59:43Z 12:30 12:30:45 1:30.5 190:20:30 1,000 1.2.3 v1 1.2.3-4 - + . .. ...
.a -a +a --- = << 1<< 0x 0b 0o 1e 1e+ e3 0.0 -0.0 1_0.5 .1_0 1d 5m 100m 1Gi 1.5Gi 0.5 007 0777 1e3s infinity nan inf
""".split()  # noqa: SIM905 - a list literal of this takes a hundred lines

TEXTS = [
    "",
    "\n",
    "# only a comment\n",
    "---\n",
    "---\n...\n",
    "a",
    "[]",
    "{}",
    "a: &x 1\nb: *x\n",
    "a: &x {k: 1}\nb: *x\n",
    "a: &x [1, 2]\nb: [*x, *x]\n",
    "a: *x\n",
    "a: &x [*x]\n",
    "base: &b {k: 1, l: 2}\nuse:\n  <<: *b\n  k: 3\n",
    "base: &b {k: 1, l: 2}\nuse:\n  k: 3\n  <<: *b\n",
    "a: &a {k: 1}\nb: &b {k: 2, m: 3}\nuse:\n  <<: [*a, *b]\n",
    "a: &a {k: 1}\nuse:\n  <<: {k: 2, n: 1}\n  z: 1\n",
    "a: &a {k: 1}\nuse:\n  <<: [*a, {k: 2, n: 1}]\n",
    "use:\n  <<: 1\n",
    "use:\n  <<: ~\n",
    "use:\n  <<: [1]\n",
    "l: &l [{a: 1}]\nuse:\n  <<: *l\n",
    "use:\n  '<<': 1\n",
    "use:\n  !!merge <<: {a: 1}\n",
    "use:\n  !!str <<: {a: 1}\n",
    "a: 1\na: 2\n",
    "a: {b: 1, b: 2}\n",
    "1: a\n'1': b\n",
    "? [a]\n: b\n",
    "? {a: 1}\n: b\n",
    "? a\n: b\n",
    "? a\n",
    "~: a\n",
    "null: a\n",
    ": a\n",
    "&k key: v\nother: *k\n",
    "a: &k key\n*k : v\n",
    "18446744073709551615: a\n",
    "a: !!str 1\n",
    "a: !!int '3'\n",
    "a: !!int 3.5\n",
    "a: !!int x\n",
    "a: !!float 3\n",
    "a: !!float '1e3'\n",
    "a: !!float x\n",
    "a: !!bool yes\n",
    "a: !!bool 'on'\n",
    "a: !!bool 1\n",
    "a: !!null ''\n",
    "a: !!null x\n",
    "a: !!binary aGk=\n",
    "a: !!binary '*'\n",
    "a: !!binary |\n  aGk\n  gdGhlcmU=\n",
    "a: !!timestamp 2001-01-01\n",
    "a: !!timestamp x\n",
    "a: ! 12\n",
    "a: !!map {b: 1}\n",
    "a: !!seq [b]\n",
    "a: |\n  x\n  y\n",
    "a: |-\n  x\n",
    "a: |+\n  x\n\n",
    "a: >\n  x\n  y\n\n  z\n",
    "a: >2\n    x\n",
    "a: |2\n    x\n   y\n",
    "a: 'it''s'\n",
    'a: "\\u00e9\\x41\\t\\n\\0"\n',
    'a: "x\\\n  y"\n',
    'a: "\\/"\n',
    'a: "\\q"\n',
    "a: 'x\n\n  y'\n",
    "a: x\n  y\n",
    "a: b: c\n",
    "a:\n- b\n- c\n",
    "a:\n  - b\n - c\n",
    "a:\n\tb: c\n",
    "a: b\t# c\n",
    "a: b # c\n",
    "a: b#c\n",
    "a: [b, c,]\n",
    "a: [b,, c]\n",
    "a: {b, c: d}\n",
    "a: {b:c}\n",
    'a: {"b":c}\n',
    "a: {b: }\n",
    "a: [b: c]\n",
    "a: [\n",
    "a: }\n",
    "a: @x\n",
    "a: `x\n",
    "a: %x\n",
    "a: 'x\n",
    "a: é ☃ 😀\n",
    "a: \u00a0\n",
    "a: \x07\n",
    "a: \x7f\n",
    "a: \ufeffb\n",
    "%YAML 1.1\n---\na: 1\n",
    "%YAML 1.2\n---\na: 1\n",
    "%YAML 2.0\n---\na: 1\n",
    "a: 1\n...\n",
    "a:\n",
    "a: ''\n",
    'a: ""\n',
    "- - a\n  - b\n- c\n",
    "- a: 1\n  b: 2\n- {}\n",
    "a: -\n",
    "a: - b\n",
    "a: ? b\n",
    "- ? a\n",
    "a: {? b : c}\n",
    "a: http://x:80/y\n",
    "a: x:\n",
    "x:y\n",
    "a:  - \n",
    '{"a": 1.0, "b": [true, null, 1e3], "c": "\\u00e9"}',
    '{"a": 1,\n\t"b": 2}',
    'a: "multi\n  line\n\n  text"\n',
    "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\n  labels: {on: off}\ndata:\n  1.10: 1.10\n  yes: no\n",
    "args: [--a=1, -b, '1', \"true\", 1e3, 0777]\n",
]


def random_scalars(rng: random.Random, count: int) -> list[str]:
    """Strings of the characters that numbers, dates and words are made of."""
    alphabet = "0123456789" * 3 + "+-..__eExXoObB:TtZnNyfa~"
    found = ["".join(rng.choice(alphabet) for _ in range(rng.randint(1, 7))) for _ in range(count)]
    return [text for text in found if not text.endswith(":")]


def corpus() -> list[str]:
    """Every text that is compared, without doubles."""
    rng = random.Random(SEED)
    scalars = WORDS + random_scalars(rng, 1500)
    texts = TEXTS + [f"v: {text}\n" for text in scalars] + [f"[{text}]\n" for text in WORDS]
    texts += [f"{text}: v\n" for text in WORDS + random_scalars(rng, 400)]
    texts += [f"v: {quote}{text}{quote}\n" for text in WORDS for quote in "'\""]
    return list(dict.fromkeys(texts))


if __name__ == "__main__":
    answers = subprocess.run(
        ["go", "run", "."], cwd=HERE, input=json.dumps(corpus()).encode(), stdout=subprocess.PIPE, check=True
    )
    (HERE / "yaml.jsonl").write_bytes(answers.stdout)
