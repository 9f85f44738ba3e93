"""The queries of docs/usage-records.md, as DuckDB answers them for the file of a running infermux.

usage_test.py BIN_FOLDER
"""

import json
import re
import signal
import sys
import tempfile
import urllib.error
import urllib.request
from hashlib import sha256
from pathlib import Path

import duckdb

from support import PATIENCE_SECONDS, Mock, main, routed, running

PAGE = Path(__file__).resolve().parents[2] / "docs" / "usage-records.md"
PRICES = """
pricing:
  alpha: {gpt-4o: {input_per_million: 3, output_per_million: 15}}
  beta: {gpt-4o: {input_per_million: 5, output_per_million: 25}}
"""
USAGE = {
    "prompt_tokens": 1000,
    "completion_tokens": 10,
    "prompt_tokens_details": {"cached_tokens": 250},
}
ANSWER = {
    "body": {
        "choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}],
        "usage": USAGE,
    }
}
# The provider bills it, and nobody else.
FAILURE = {"body": {"error": {"message": "no"}, "usage": USAGE}}
# By name: the secret and the team.
KEYS = {"web": ("k-web", "product"), "lab": ("k-lab", "research")}


def queries():
    """The queries of the page, in order."""
    return re.findall(r"```sql\n(.*?)```", PAGE.read_text(), re.DOTALL)


def ask(url, model, caller_key):
    body = {"model": model, "messages": [{"role": "user", "content": "Say hello."}]}
    request = urllib.request.Request(
        f"{url}/v1/chat/completions",
        data=json.dumps(body).encode(),
        headers={
            "Content-Type": "application/json",
            "Authorization": f"Bearer {caller_key}",
        },
    )
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
            return answer.headers
    except urllib.error.HTTPError as refused:
        return refused.headers


def served(folder):
    """The costs that callers were told, by team, once infermux has written its records."""
    entries = "".join(
        f"- {{name: {name}, team: {team}, hash: 'sha256:{sha256(key.encode()).hexdigest()}'}}\n"
        for name, (key, team) in KEYS.items()
    )
    keys = folder / "keys.yml"
    keys.write_text(entries)
    more = (
        f"usage: {{file: {folder / 'usage.jsonl'}}}\n"
        f"teams: [{{name: product}}, {{name: research}}]\n{PRICES}"
    )
    alpha = Mock("alpha", answers=[ANSWER, FAILURE, {"status": 500}, ANSWER], models=["gpt-4o"])
    beta = Mock("beta", answers=[ANSWER], models=["gpt-4o"])
    told = {"product": 0, "research": 0}
    auth = f"keys\n  keys_file: {keys}"
    with running(alpha, beta, mode=auth, more=more) as router:
        for name in ["web", "web", "lab", "lab"]:
            key, team = KEYS[name]
            headers = ask(router.url, "gpt-4o", key)
            told[team] += round(float(headers["x-infermux-cost"]) * 1e9)
        ask(router.url, "nobody's", "k-web")
        router.child.send_signal(signal.SIGTERM)
        assert router.child.wait(PATIENCE_SECONDS) == 0
    return told


@routed
def the_queries_of_the_page_tell_what_callers_were_told():
    with tempfile.TemporaryDirectory(prefix="infermux-usage-") as folder:
        folder = Path(folder)
        told = served(folder)
        assert all(told.values()), told
        spend, failures, caches = (
            duckdb.sql(query.replace("usage*.jsonl", f"{folder}/usage*.jsonl")).fetchall()
            for query in queries()
        )
        by_team = {}
        for team, _, usd in spend:
            by_team[team] = by_team.get(team, 0) + round((usd or 0) * 1e9)
        assert by_team == told, (by_team, told)
        # One failed for nothing; the other one's tokens are a loss.
        lost = 750 * 3000 + 250 * 3000 + 10 * 15000
        found = {(provider, outcome): (count, usd) for provider, outcome, count, usd in failures}
        assert set(found) == {("alpha", "bad_answer"), ("alpha", "server_error")}, found
        assert found["alpha", "server_error"] == (1, None), found
        count, usd = found["alpha", "bad_answer"]
        assert count == 1 and 0 < round(usd * 1e9) <= lost, found
        assert caches == [("gpt-4o", 0.25)], caches


if __name__ == "__main__":
    sys.exit(main())
