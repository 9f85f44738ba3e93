"""The page at /_infermux/ as an operator sees it, in headless Chromium.

page_test.py BIN_FOLDER PICTURES_FOLDER [--readme]

One infermux in front of mock providers that fail now and then, callers with budgets, and names
that would act if the page took them for markup. The screenshots are for people to look at.
--readme takes those of the README instead: five minutes of traffic, and ordinary names.
"""

import atexit
import hashlib
import http.client
import itertools
import json
import math
import re
import sys
import tempfile
import threading
import time
from pathlib import Path

from chromium import Chromium
from support import BIN, Mock, Process, main, test

PICTURES = Path(sys.argv[2])
README = "--readme" in sys.argv[3:]
SECONDS = 300 if README else 4
TOKEN = "sesame-0123456789"
CALLERS_KEYS = ["callers-own-key", "callers-night-key", "callers-lone-key"]
DIGESTS = [hashlib.sha256(key.encode()).hexdigest() for key in CALLERS_KEYS]
KEYS = [TOKEN, "sk-alpha", "sk-beta", "sk-gamma", *CALLERS_KEYS, *DIGESTS]
HOSTILE_PROVIDER = "<img/src=x/onerror=owned=1>"
HOSTILE_CALLERS = ["<script>owned=2</script>", '"><b onmouseover=owned=3>x</b>', "a" * 200]
HOSTILE_MODEL = "<svg onload=owned=4>{nonce}"
HOSTILE_KEY = "<i/onclick=owned=5>web</i>"
HOSTILE_TEAM = "<b/onclick=owned=6>search</b>"
if README:
    HOSTILE_PROVIDER, HOSTILE_MODEL = "local", "llama-3.3-70b"
    HOSTILE_CALLERS = ["research", "translation", "mail"]
    HOSTILE_KEY, HOSTILE_TEAM = "web", "search"

CONFIG = """\
listen: 127.0.0.1:0
management_listen: 127.0.0.1:0
providers:
  - name: alpha
    type: openai
    api_key: sk-alpha
    base_url: {alpha}
    models: [gpt-4o, gpt-4o-mini]
    rate_limits: {{requests_per_minute: 100000, tokens_per_minute: 4000000}}
  - name: beta
    type: openai
    api_key: sk-beta
    base_url: {beta}
    models: [gpt-4o]
    circuit_breaker: {{recovery_window: 40s}}
  - name: {hostile}
    type: openai
    api_key: sk-gamma
    base_url: {gamma}
    rate_limits: {{requests_per_minute: 50000}}
circuit_breaker: {{error_rate_threshold: 1, consecutive_failures: 7}}
auth:
  mode: keys
  keys:
  - {{name: "{key}", hash: "sha256:{digests[0]}", team: "{team}", callers: ["*"]}}
  - name: jobs
    hash: "sha256:{digests[1]}"
    team: "{team}"
    callers: ["*"]
    limits: {{requests_per_day: 1, enforce: false}}
  - {{name: lone, hash: "sha256:{digests[2]}", callers: ["*"]}}
teams:
  - name: "{team}"
    limits: {{requests_per_minute: 100000}}
    budgets: [{{usd: 100, per: month, action: hard_stop}}]
pricing:
  alpha:
    gpt-4o: {{input_per_million: 900, output_per_million: 3600}}
    gpt-4o-mini: {{input_per_million: 60, output_per_million: 240}}
  "{hostile}":
    "{model}": {{input_per_million: 400, output_per_million: 1600}}
budgets:
  - {{caller: search, monthly_usd: 100, action: alert}}
  - {{caller: batch, monthly_usd: 0.5, action: hard_stop}}
  - {{caller: support, monthly_usd: {tight}, action: alert}}
  - {{caller: nightly, monthly_usd: 20, action: hard_stop}}
"""


class World:
    """Mock providers, infermux, and callers."""

    def __init__(self):
        slow = {"latency_ms": 18, "ttft_ms": 30}
        answers = ["ok"] * 23 + [500] + ["ok"] * 31 + ([] if README else [429])
        self.mocks = [
            Mock("alpha", models=[], **slow, answers=answers, then="loop"),
            Mock("beta", models=[], latency_ms=60, answers=["ok"] * 40 + [503] * 8, then="loop"),
            Mock("gamma", models=[], latency_ms=9),
        ]
        folder = tempfile.TemporaryDirectory(prefix="infermux-page-")
        atexit.register(folder.cleanup)
        alpha, beta, gamma = (mock.url for mock in self.mocks)
        file = Path(folder.name) / "infermux.yml"
        file.write_text(
            CONFIG.format(
                alpha=alpha,
                beta=beta,
                gamma=gamma,
                hostile=HOSTILE_PROVIDER,
                model=HOSTILE_MODEL,
                key=HOSTILE_KEY,
                team=HOSTILE_TEAM,
                digests=DIGESTS,
                tight=0.12 * SECONDS * (2 if README else 1),
            )
        )
        # The token is in the environment, where the configuration's keys may be, too.
        command = ["env", f"INFERMUX_MANAGEMENT_TOKEN={TOKEN}", BIN / "infermux", "serve"]
        self.router = Process(
            *command, "--config", file, "--shards", "2", "--no-health-checks", "--log-level", "error"
        )
        found = self.router.wait_for(r"listening on \S*?:(\d+) \(management: \S*?:(\d+)\)")
        self.callers, self.management = int(found[1]), int(found[2])

    def ask(self, path, method="GET", token=TOKEN, port=None):
        """Status, headers and body of an answer to an operator."""
        connection = http.client.HTTPConnection("127.0.0.1", port or self.management, timeout=20)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()

    def json(self, path):
        return json.loads(self.ask(f"/_infermux/{path}")[2])

    def traffic(self, seconds):
        """Callers who ask for `seconds`: some stream, some have a budget, some have odd names."""
        callers = [
            ("search", "gpt-4o", 0.011, True),
            ("batch", "gpt-4o", 2.4 if README else 0.024, False),
            ("support", "gpt-4o-mini", 0.015, True),
            ("support", "gpt-4o", 0.04, False),
            ("", "gpt-4o-mini", 0.09, False),
            *((name, HOSTILE_MODEL, 0.06, False) for name in HOSTILE_CALLERS),
            *((f"team {n:02}", "gpt-4o-mini", 0.3, False) for n in range(9)),
        ]
        end = time.monotonic() + seconds
        keys = itertools.cycle(CALLERS_KEYS)
        threads = [
            threading.Thread(target=self.call, args=(end, next(keys), *one)) for one in callers
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def call(self, end, key, caller, model, pause, stream):
        connection = http.client.HTTPConnection("127.0.0.1", self.callers, timeout=20)
        headers = {"Authorization": f"Bearer {key}"}
        if caller:
            headers["X-Infermux-Caller"] = caller
        messages = [{"role": "user", "content": "What is the weather like in the mountains?"}]
        body = json.dumps({"model": model, "messages": messages, "stream": stream})
        while time.monotonic() < end:
            connection.request("POST", "/v1/chat/completions", body, headers)
            connection.getresponse().read()
            # Slowly more and less, as in life.
            time.sleep(pause * (1.5 + math.sin(time.monotonic() / 20)))

    def stop(self):
        for process in (self.router, *(mock.process for mock in self.mocks)):
            process.stop()


def meters(page, name):
    """What the meters of a list say: by name, the text and the percentage."""
    script = f"""[...document.querySelectorAll('#{name} .meter')].map(one => [
        one.parentNode.querySelector('bdi').textContent,
        [one.parentNode.querySelector('.n').textContent, Number(one.ariaValueNow)]])"""
    return dict(page.run(script))


def tile(page, name):
    """The two lines of the tile with this name."""
    script = f"""(() => {{ const one = [...document.querySelectorAll('#tiles > div')]
        .find(one => one.firstChild.textContent === {json.dumps(name)});
        return [...one.querySelectorAll('dd')].map(dd => dd.textContent); }})()"""
    return page.run(script)


def row(page, name):
    """The cells of a provider's row, by what they say they are."""
    script = f"""Object.fromEntries([...[...document.querySelectorAll('#providers tr')]
        .find(tr => tr.querySelector('bdi').textContent === {json.dumps(name)}).cells]
        .map(td => [td.dataset.k, td.textContent]))"""
    return page.run(script)


def bars(page, name):
    """Names and titles of values in a list of bars."""
    return page.run(
        f"[...document.querySelectorAll('#{name} li')].map(li => "
        "[li.querySelector('.name').textContent, li.querySelectorAll('.n')[0].title])"
    )


def whole(text):
    return int(text.replace(",", ""))


def duration(text):
    """Seconds."""
    number, unit = text.split(" ")
    return float(number) * {"µs": 1e-6, "ms": 1e-3, "s": 1}[unit]


def pictures_for_the_readme():
    """A wide window and a phone, at the end of the traffic."""
    enter()
    busy = threading.Thread(target=WORLD.traffic, args=(SECONDS,))
    busy.start()
    time.sleep(SECONDS - 10)
    PAGE.show(1280, 900, "light")
    PAGE.picture(PICTURES / "1280.png")
    PAGE.show(400, 860, "dark")
    PAGE.picture(PICTURES / "400.png", 860)
    busy.join()


def enter():
    """Opens the page, with the token."""
    PAGE.show(1280, 900, "light")
    PAGE.do("Page.navigate", url=f"http://127.0.0.1:{WORLD.management}/_infermux/")
    PAGE.wait("document.readyState === 'complete' && document.querySelector('#login').open")
    PAGE.type(TOKEN)
    PAGE.wait(LIVE)


@test
def the_page_is_served_without_data_and_without_keys():
    for token in (None, TOKEN):
        status, headers, page = WORLD.ask("/_infermux/", token=token)
        assert status == 200 and len(page) > 10_000
        assert "default-src 'none'" in headers["content-security-policy"]
        assert not [key for key in [*KEYS, "alpha", "gpt-4o"] if key in page]
    assert WORLD.ask("/_infermux/", port=WORLD.callers)[0] == 404


@test
def the_token_is_asked_for_and_a_wrong_one_is_not_kept_from_the_operator():
    PAGE.show(1280, 900, "light")
    PAGE.do("Page.navigate", url=f"http://127.0.0.1:{WORLD.management}/_infermux/")
    PAGE.wait("document.readyState === 'complete' && document.querySelector('#login').open")
    PAGE.picture(PICTURES / "token.png")
    PAGE.type("sesame-wrong")
    PAGE.wait("document.querySelector('#login-text').textContent.includes('does not accept')")
    PAGE.press("Escape", 27)
    PAGE.wait("document.querySelector('#link').textContent.includes('token is needed')")
    PAGE.click("#enter")
    PAGE.wait("document.querySelector('#login').open")
    PAGE.type(TOKEN)
    PAGE.wait(LIVE)
    assert PAGE.run("Object.keys(localStorage).length + document.cookie.length") == 0
    assert PAGE.run("[...Object.values(sessionStorage)]") == [TOKEN]
    # The refusals are in the browser's log, and nothing else may be.
    refused = [fault for fault in PAGE.faults if "401" in fault]
    assert refused and refused == PAGE.faults, PAGE.faults
    PAGE.faults.clear()


@test
def what_is_shown_is_what_the_endpoints_say():
    busy = threading.Thread(target=WORLD.traffic, args=(SECONDS,))
    busy.start()
    PAGE.wait("parseFloat(document.querySelector('#tiles dd').textContent) > 50")
    busy.join()
    total = WORLD.json("status")["requests_total"]
    assert total > 100, total
    # Spend is asked for less often than the rest.
    answered = WORLD.json("costs")["requests"]
    PAGE.wait(f"document.body.innerText.includes('{answered:,} requests')")
    status = WORLD.json("status")
    PAGE.wait(f"document.body.innerText.includes('{total:,} in all')")
    assert tile(PAGE, "Providers healthy")[0] == "2 of 3", tile(PAGE, "Providers healthy")
    # Those of the last minute leave while this looks at them only if it takes too long.
    assert whole(tile(PAGE, "Requests, 1 min")[0]) == status["requests_last_minute"]
    assert whole(tile(PAGE, "Errors, 1 min")[0]) == status["errors_last_minute"] > 0
    assert tile(PAGE, "In flight")[0] == "0"
    latency = WORLD.json("latency")
    for name, kind, percentile in (
        ("Latency p95", "latency", "p95_ms"),
        ("Own overhead p50", "overhead", "p50_ms"),
    ):
        shown, told = duration(tile(PAGE, name)[0]), latency[kind][percentile] / 1000
        assert abs(shown - told) <= 0.02 * told + 1e-6, (name, shown, told)
    check_providers()
    check_spend()


def check_providers():
    for one in WORLD.json("providers"):
        shown = row(PAGE, one["name"])
        assert shown["Name"] == f"{one['name']} {one['type']}", shown
        assert shown["Circuit"].split(" ")[0] == one["circuit"], shown
        assert abs(float(shown["Error rate"].split(" ")[0]) / 100 - one["error_rate"]) < 0.006, shown
        assert whole(shown["Last minute"]) == one["requests_last_minute"], shown
        if one["p95_latency_ms"] is None:
            assert shown["p95"] == "–", shown
        else:
            assert abs(duration(shown["p95"]) * 1000 / one["p95_latency_ms"] - 1) < 0.1, shown
        for label, key in (("Requests left", "rpm"), ("Tokens left", "tpm")):
            left = one[f"rate_limit_headroom_{key}"]
            assert shown[label] == ("–" if left is None else f"{left:,}"), shown
    assert "probe in" in row(PAGE, "beta")["Circuit"]


def check_spend():
    costs, by_caller = WORLD.json("costs"), WORLD.json("costs/by-caller")["callers"]
    for name, told in (("by-provider", costs["by_provider"]), ("by-model", costs["by_model"])):
        shown = {one: float(title[1:]) for one, title in bars(PAGE, name)}
        assert shown == {one: usd for one, usd in told.items() if usd}, (shown, told)
    shown = bars(PAGE, "by-caller")
    spent = sorted((one["total_usd"] for one in by_caller if one["total_usd"]), reverse=True)
    assert len(shown) == 11 and shown[10][0] == f"{len(spent) - 10} more", shown
    for usd, (_, title) in zip([*spent[:10], sum(spent[10:])], shown, strict=True):
        assert abs(float(title[1:]) - usd) < 1e-9, (usd, title)
    for kind, count in (("key", 3), ("team", 2)):
        told = {one[kind]: one["total_usd"] for one in WORLD.json(f"costs/by-{kind}")[f"{kind}s"]}
        shown = {one: float(title[1:]) for one, title in bars(PAGE, f"by-{kind}")}
        assert shown == told and len(told) == count, (shown, told)
        assert abs(sum(told.values()) - costs["total_usd"]) < 1e-9, (told, costs)
    budgets = PAGE.run(
        "[...document.querySelectorAll('#budgets .meter')].map(one => "
        "[one.parentNode.querySelector('bdi').textContent, Number(one.ariaValueNow)])"
    )
    used = {
        one["caller"]: 100 * (1 - one["budget_remaining_usd"] / one["budget_usd"])
        for one in by_caller
        if "budget_usd" in one
    }
    assert len(budgets) == len(used) == 4
    for name, shown in budgets:
        assert abs(shown - used[name]) <= 0.51, (name, shown, used)
    scopes = WORLD.json("keys?most_used=12")
    [jobs], [team] = scopes["keys"], scopes["teams"]
    assert jobs["limits"]["requests_per_day"]["exceeded"] > 0
    shown = {name: meters(PAGE, name) for name in ("limits", "scoped")}
    limits, budgets = shown["limits"], shown["scoped"]
    assert list(limits) == ["key jobs: requests per day", f"team {HOSTILE_TEAM}: requests per minute"]
    text, part = limits["key jobs: requests per day"]
    assert text.startswith("1 of 1 ") and text.endswith("not enforced") and part == 100, (text, part)
    [(name, (_, part))] = budgets.items()
    spent = team["budgets"][0]["spent_usd"]
    assert name == f"team {HOSTILE_TEAM}: month" and abs(part - spent) <= 0.51, (name, part, spent)


@test
def names_are_text_and_nothing_else():
    assert PAGE.run("typeof owned") == "undefined"
    strange = "document.querySelectorAll('main img, main script, main b, main bdi i, main svg svg').length"
    assert PAGE.run(strange) == 0
    text = PAGE.run("document.body.textContent")
    for name in [HOSTILE_PROVIDER, *HOSTILE_CALLERS, HOSTILE_MODEL, HOSTILE_KEY, HOSTILE_TEAM]:
        assert name in text, name
    assert not [key for key in KEYS if key in PAGE.run("document.documentElement.outerHTML")]
    told = [WORLD.ask(f"/_infermux/{path}")[2] for path in ENDPOINTS]
    assert not [key for key in KEYS if key in "".join(told)]


@test
def spend_by_key_and_team_is_shown_where_callers_have_keys():
    shown = "['by-key', 'by-team', 'limits', 'scoped'].map(name => document.getElementById(name).offsetParent !== null)"
    assert PAGE.run(shown) == [True] * 4
    # As it is without keys: the reports are empty.
    PAGE.run("const kept = costs; costs = { ...kept, keys: [], teams: [], scopes: { keys: [], teams: [] } }; showCosts(); void 0")
    assert PAGE.run(shown) == [False] * 4
    PAGE.run("costs = kept; showCosts(); void 0")
    assert PAGE.run(shown) == [True] * 4


@test
def it_fits_every_window_in_both_schemes():
    for width, scheme in ((1280, "light"), (1280, "dark"), (400, "light"), (400, "dark")):
        PAGE.show(width, 900, scheme)
        assert PAGE.run("document.documentElement.scrollWidth") <= width
        PAGE.picture(PICTURES / f"{width}-{scheme}.png")
    for width in (320, 700, 1000, 1110, 1900):
        PAGE.show(width, 900, "light")
        PAGE.picture(PICTURES / f"{width}.png")
        assert PAGE.run("document.documentElement.scrollWidth") <= width, width
    PAGE.show(1280, 900, "light")
    assert PAGE.run("innerWidth") == 1280


@test
def a_circuit_is_opened_and_closed_by_hand():
    opens = "#providers tr:first-child .acts button:nth-child(1)"
    closes = "#providers tr:first-child .acts button:nth-child(2)"
    PAGE.click(opens)
    PAGE.wait("document.querySelector('#confirm').open")
    PAGE.press("Escape", 27)
    PAGE.wait("!document.querySelector('#confirm').open")
    assert WORLD.json("providers")[0]["circuit"] == "closed"
    PAGE.click(opens)
    PAGE.wait("document.querySelector('#confirm').open")
    PAGE.picture(PICTURES / "confirm.png")
    PAGE.click("#confirm-yes")
    PAGE.wait("document.querySelector('#providers .pill').textContent === 'open'")
    assert WORLD.json("providers")[0]["circuit"] == "open"
    PAGE.wait("document.querySelector('#said').textContent === 'alpha: circuit open'")
    change = WORLD.json("changes")[0]
    assert (change["provider"], change["to"], change["reason"]) == ("alpha", "open", "manual")
    first = "document.querySelector('#changes tr').innerText.replace(/\\s+/g, ' ')"
    PAGE.wait(f"{first}.includes('alpha closed → open manual')")
    PAGE.click(closes)
    PAGE.wait("document.querySelector('#providers .pill').textContent === 'closed'")
    assert WORLD.json("providers")[0]["circuit"] == "closed"
    PAGE.wait(f"{first}.includes('alpha open → closed manual')")


@test
def updates_move_nothing_and_keep_the_focus():
    PAGE.run("document.querySelector('#providers button:enabled').focus()")
    focused = "document.activeElement.getAttribute('aria-label')"
    before = PAGE.run(focused)
    PAGE.run(
        "window.moved = 0; new PerformanceObserver(list => { for (const one of list.getEntries())"
        " moved += one.value; }).observe({type: 'layout-shift'})"
    )
    busy = threading.Thread(target=WORLD.traffic, args=(1,))
    busy.start()
    seen = PAGE.run("document.querySelector('#tiles').textContent")
    PAGE.wait(f"document.querySelector('#tiles').textContent !== {json.dumps(seen)}")
    busy.join()
    assert before and PAGE.run(focused) == before
    assert PAGE.run("moved") < 0.01, PAGE.run("moved")


@test
def percentiles_are_also_those_of_the_last_minutes():
    # A look that is remembered here stands for one at which there were fewer requests.
    PAGE.run("histories[0] = {...structuredClone(last.now), at: histories[0].at}")
    PAGE.run("for (const one of histories[0].latency.values()) one.counts = new Map([[[...one.counts.keys()][0], 1]])")
    count = "document.querySelector('#latency .n').textContent"
    before = whole(PAGE.run(count))
    assert (series := PAGE.run("histories[0].latency.size")) > 0
    PAGE.click("#recent")
    PAGE.wait("document.querySelector('#tiles').textContent.includes('last 5 min')")
    assert whole(PAGE.run(count)) == before - series
    PAGE.click("#ever")
    assert whole(PAGE.run(count)) == before


@test
def an_outage_is_told_of_and_the_page_comes_back_by_itself():
    def offline(is_offline):
        PAGE.do(
            "Network.emulateNetworkConditions",
            offline=is_offline,
            latency=0,
            downloadThroughput=-1,
            uploadThroughput=-1,
        )

    assert PAGE.faults == []
    offline(True)
    PAGE.wait("/^not reachable since \\d\\d:\\d\\d:\\d\\d/.test(document.querySelector('#link').textContent)")
    PAGE.picture(PICTURES / "outage.png")
    offline(False)
    PAGE.wait(LIVE)
    assert all("ERR_INTERNET_DISCONNECTED" in fault for fault in PAGE.faults), PAGE.faults
    PAGE.faults.clear()


@test
def nothing_is_asked_of_anybody_else():
    own = f"http://127.0.0.1:{WORLD.management}/_infermux/"
    others = [url for url in PAGE.asked if not url.startswith((own, "data:image/svg+xml,"))]
    assert PAGE.asked and not others, others
    assert PAGE.faults == []


LIVE = "document.querySelector('#link').textContent === 'live'"
ENDPOINTS = [
    *("status", "providers", "changes", "metrics", "latency", "costs", "keys"),
    *("costs/by-caller", "costs/by-key", "costs/by-team"),
]

if __name__ == "__main__":
    PICTURES.mkdir(parents=True, exist_ok=True)
    WORLD = World()
    PAGE = Chromium()
    atexit.register(PAGE.stop)
    atexit.register(WORLD.stop)
    sys.exit(pictures_for_the_readme() if README else main())
