"""The page at /_infermux/ as an operator sees it, in headless Chromium.

page_test.py BIN_FOLDER PICTURES_FOLDER [--axe FILE] [--readme]

One infermux in front of mock providers that fail now and then, callers with budgets, and names
that would act if the page took them for markup. The screenshots are for people to look at.
--readme takes those of the README instead: five minutes of traffic, and ordinary names. --axe has
the rules of axe-core looked at, too.
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
AXE = sys.argv[sys.argv.index("--axe") + 1] if "--axe" in sys.argv else None
SECONDS = 300 if README else 4
TOKEN = "sesame-0123456789"
CALLERS_KEYS = ["callers-own-key", "callers-night-key", "callers-lone-key"]
TRIAL_KEY = "callers-trial-key"
DIGESTS = [hashlib.sha256(key.encode()).hexdigest() for key in [*CALLERS_KEYS, TRIAL_KEY]]
KEYS = [TOKEN, "sk-alpha", "sk-beta", "sk-gamma", *CALLERS_KEYS, TRIAL_KEY, *DIGESTS]
HOSTILE_PROVIDER = "<img/src=x/onerror=owned=1>"
HOSTILE_CALLERS = ["<script>owned=2</script>", '"><b onmouseover=owned=3>x</b>', "a" * 200]
HOSTILE_MODEL = "<svg onload=owned=4>{nonce}"
HOSTILE_KEY = "<i/onclick=owned=5>web</i>"
HOSTILE_TEAM = "<b/onclick=owned=6>search</b>"
HOSTILE_ALIAS = "<u onclick=owned=7>small</u>"
if README:
    HOSTILE_PROVIDER, HOSTILE_MODEL = "local", "llama-3.3-70b"
    HOSTILE_CALLERS = ["research", "translation", "mail"]
    HOSTILE_KEY, HOSTILE_TEAM, HOSTILE_ALIAS = "web", "search", "small"

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
    model_aliases: {{"{alias}": gpt-4o-mini}}
    health_check: {{disabled: true}}
  - name: beta
    type: openai
    api_key: sk-beta
    base_url: {beta}
    models: [gpt-4o]
    circuit_breaker: {{recovery_window: 40s}}
    health_check: {{disabled: true}}
  - name: {hostile}
    type: openai
    api_key: sk-gamma
    base_url: {gamma}
    rate_limits: {{requests_per_minute: 50000}}
    health_check: {{disabled: true}}
  - name: spare
    type: openai
    base_url: http://127.0.0.1:1/v1
    models: [gpt-4o-spare]
    health_check: {{interval: 2s}}
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
  - name: trial
    hash: "sha256:{digests[3]}"
    callers: ["*"]
    budgets: [{{usd: 0, per: day, action: hard_stop}}]
teams:
  - name: "{team}"
    limits: {{requests_per_minute: 100000}}
    budgets: [{{usd: {budget}, per: month, action: hard_stop}}]
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
{usage}"""
# Usage records go to a disk that is full; the pictures of the README show none.
USAGE = "" if README else "usage: {file: /dev/full}\n"


# Keeps answers with 401 in `held` until each is let go.
HELD_REFUSALS = """
    window.held = [];
    window.asked_before = window.fetch;
    window.fetch = async (...all) => {
        const answer = await asked_before(...all);
        if (answer.status === 401) await new Promise(let_go => held.push(let_go));
        return answer;
    };
    0
"""


class World:
    """Mock providers, infermux, and callers."""

    def __init__(self):
        slow = {"latency_ms": 18, "ttft_ms": 30}
        answers = ["ok"] * 23 + [500] + ["ok"] * 31 + ([] if README else [429])
        self.mocks = [
            Mock("alpha", models=[], cached_tokens=9, **slow, answers=answers, then="loop"),
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
                alias=HOSTILE_ALIAS,
                budget=900 if README else 100,
                usage=USAGE,
                digests=DIGESTS,
                tight=0.12 * SECONDS * (2 if README else 1),
            )
        )
        # The token is in the environment, where the configuration's keys may be, too.
        command = ["env", f"INFERMUX_MANAGEMENT_TOKEN={TOKEN}", BIN / "infermux", "serve"]
        self.router = Process(
            *command, "--config", file, "--shards", "2", "--log-level", "error"
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


def scopes(page):
    """The rows of limits and budgets: whose, of what, and what the other cells say."""
    script = """[...document.querySelectorAll('#scopes tr')].map(tr => [
        tr.querySelector('.name').textContent, tr.cells[1].textContent,
        {used: tr.cells[2].textContent, left: tr.cells[3].textContent, end: tr.cells[4].textContent,
         now: tr.cells[5].textContent, part: Number(tr.querySelector('.meter').ariaValueNow)}])"""
    return {(whose, what): cells for whose, what, cells in page.run(script)}


def noted(page):
    """The rows of requests, by what their cells say they are."""
    return page.run(
        "[...document.querySelectorAll('#requests tr')].map(tr => "
        "Object.fromEntries([...tr.cells].map(td => [td.dataset.k, td.textContent])))"
    )


def tile(page, name):
    """The two lines of the tile with this name."""
    script = f"""(() => {{ const one = [...document.querySelectorAll('#tiles > div')]
        .find(one => one.firstChild.textContent === {json.dumps(name)});
        return [...one.querySelectorAll('dd')].map(dd => dd.textContent); }})()"""
    return page.run(script)


def row(page, name):
    """The cells of a provider's row, by what they say they are."""
    script = f"""Object.fromEntries([...[...document.querySelectorAll('#providers tr.upper')]
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
    # From here on, refusals are held back: the right token comes before they do.
    PAGE.run(HELD_REFUSALS)
    PAGE.press("Escape", 27)
    PAGE.wait("!document.querySelector('#login').open && !document.querySelector('#enter').hidden")
    PAGE.wait("document.querySelector('#link').textContent.includes('token is needed')")
    PAGE.wait("held.length > 0")
    PAGE.click("#enter")
    PAGE.wait("document.querySelector('#login').open")
    PAGE.type(TOKEN)
    PAGE.wait("!document.querySelector('#login').open")
    PAGE.run("held.forEach(let_go => let_go())")
    PAGE.wait(LIVE)
    PAGE.run("window.fetch = asked_before")
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
    PAGE.wait("""[...document.querySelectorAll('#tiles > div')].some(one =>
        one.firstChild.textContent === 'Requests/s'
        && parseFloat(one.querySelector('dd').textContent) > 50)""")
    busy.join()
    total = WORLD.json("status")["requests_total"]
    assert total > 100, total
    # Spend is asked for less often than the rest.
    answered = WORLD.json("costs")["requests"]
    PAGE.wait(f"document.body.innerText.includes('{answered:,} answered')")
    status = WORLD.json("status")
    PAGE.wait(f"document.body.innerText.includes('{total:,} in all')")
    assert tile(PAGE, "Providers healthy")[0] == "2 of 4", tile(PAGE, "Providers healthy")
    # Those of the last minute leave while this looks at them only if it takes too long.
    assert whole(tile(PAGE, "Requests, 1 min")[0]) == status["requests_last_minute"]
    assert whole(tile(PAGE, "Errors, 1 min")[0]) == status["errors_last_minute"] > 0
    assert tile(PAGE, "In flight")[0] == "0"
    assert tile(PAGE, "Usage records") == ["failing", "0 dropped"]
    recent, latency = WORLD.json("recent"), WORLD.json("latency")
    for name, told in (
        ("Latency p95", recent["window"]["latency"]["p95_ms"]),
        ("Own overhead p50", latency["overhead"]["p50_ms"]),
    ):
        shown, told = duration(tile(PAGE, name)[0]), told / 1000
        assert abs(shown - told) <= 0.02 * told + 1e-6, (name, shown, told)
    check_providers(recent)
    check_spend()
    check_scopes()
    check_errors(recent)


def check_providers(recent):
    traffic = {one["provider"]: one for one in recent["providers"]}
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
        own, cache = traffic[one["name"]], shown["From cache"]
        if prompt := own["prompt_tokens"]:
            share = 100 * own["cache_read_tokens"] / prompt
            assert abs(float(cache.split(" ")[0]) - share) <= 0.51, (shown, own)
        else:
            assert cache == "–", shown
    assert float(row(PAGE, "alpha")["From cache"].split(" ")[0]) > 10
    assert "probe in" in row(PAGE, "beta")["Circuit"]


def check_spend():
    costs, by_caller = WORLD.json("costs"), WORLD.json("costs/by-caller")["callers"]
    for name, told in (("by-provider", costs["by_provider"]), ("by-model", costs["by_model"])):
        shown = {one: float(title[1:]) for one, title in bars(PAGE, name)}
        assert shown == {one: usd for one, usd in told.items() if usd}, (shown, told)
    shown = bars(PAGE, "by-caller")
    spent = sorted((one["total_usd"] for one in by_caller if one["total_usd"]), reverse=True)
    assert len(shown) == 9 and shown[8][0] == f"{len(spent) - 8} more", shown
    for usd, (_, title) in zip([*spent[:8], sum(spent[8:])], shown, strict=True):
        assert abs(float(title[1:]) - usd) < 1e-9, (usd, title)
    for kind, count in (("key", 3), ("team", 2)):
        told = WORLD.json(f"costs/by-{kind}")[f"{kind}s"]
        told = {one[kind]: one["total_usd"] for one in told if one["total_usd"]}
        shown = {one: float(title[1:]) for one, title in bars(PAGE, f"by-{kind}")}
        assert shown == told and len(told) == count, (shown, told)
        assert abs(sum(told.values()) - costs["total_usd"]) < 1e-9, (told, costs)


def check_scopes():
    shown = scopes(PAGE)
    told = WORLD.json("keys?most_used=12")
    for one in told["callers"]:
        [budget] = one["budgets"]
        cells = shown[one["name"], "budget, month"]
        part = 100 * budget["spent_usd"] / budget["usd"]
        assert abs(cells["part"] - min(125, part)) <= 0.51, (one, cells)
        assert cells["end"].startswith(budget["action"].replace("_", " ")), (one, cells)
    assert len(told["callers"]) == 4
    # Who refuses requests comes first, then what is exceeded, whatever else is used most.
    order = [cells["now"] for cells in shown.values()]
    assert list(shown)[0] in {("trial", "budget, day"), ("batch", "budget, month")}, order
    assert shown["trial", "budget, day"]["now"] == "refuses now"
    ranks = ["refuses now", "exceeded", "over 80 %", "–"]
    assert order == sorted(order, key=ranks.index), order
    jobs = shown["jobs", "requests per day"]
    assert jobs["used"].startswith("1 of 1 ") and jobs["part"] == 100, jobs
    assert (jobs["left"], jobs["now"]) == ("0", "exceeded"), jobs
    assert jobs["end"].startswith("not enforced resets in"), jobs
    [team] = told["teams"]
    spent = team["budgets"][0]["spent_usd"]
    part = shown[HOSTILE_TEAM, "budget, month"]["part"]
    assert abs(part - spent) <= 0.51, (part, spent)
    assert (HOSTILE_TEAM, "requests per minute") in shown


def check_errors(recent):
    shown = PAGE.run(
        "[...document.querySelectorAll('#errors tr')].map(tr => [...tr.cells].map(td => td.textContent))"
    )
    told = [(one["code"], one) for one in recent["errors"]]
    told += [(f"status {one['status']}", one) for one in recent["statuses"]]
    told = {name: [one["last_5_minutes"], one["since_start"]] for name, one in told}
    shown = {name: [whole(lately), whole(ever)] for name, lately, ever in shown}
    assert shown == told and {"upstream_error", "status 502"} <= set(told), (shown, told)


@test
def trouble_comes_first_with_its_reasons_and_when_it_is_tried_again():
    PAGE.wait("document.querySelector('#providers').innerText.includes('asked for')")
    names = PAGE.run(
        "[...document.querySelectorAll('#providers tr.upper bdi')].map(one => one.textContent)"
    )
    assert set(names[:2]) == {"beta", "spare"} and names[2:] == ["alpha", HOSTILE_PROVIDER], names
    why = {
        name: PAGE.run(f"{own(name)}.querySelector('.under-row').textContent")
        for name in ("alpha", "beta", "spare")
    }
    unwell = [one for one in WORLD.json("providers") if one["name"] == "spare"][0]
    assert f"{unwell['last_error']}, asked for {unwell['health_check_url']}" in why["spare"], why
    assert "Unhealthy since " in why["spare"] and "Next check " in why["spare"], why
    assert "Circuit open since " in why["beta"] and "consecutive failures" in why["beta"], why
    assert "Probe in " in why["beta"] and "since" not in why["alpha"], why
    assert f"{HOSTILE_ALIAS} → gpt-4o-mini" in why["alpha"] and "gpt-4o, gpt-4o-mini" in why["alpha"]


@test
def requests_that_went_wrong_are_listed_and_filtered():
    assert ask_for("nobody's <b>model</b>", CALLERS_KEYS[0], messages=None) == 400
    assert ask_for("gpt-4o", TRIAL_KEY) == 429
    pressed = "[...document.querySelectorAll('#kinds button')].map(one => one.ariaPressed)"
    PAGE.click("#kinds button:nth-child(3)")
    PAGE.wait(f"{pressed}[2] === 'true'")
    refusals = WORLD.json("requests?kind=refused")["requests"]
    assert {one["status"] for one in refusals} == {400, 429}, refusals
    PAGE.wait("[...document.querySelectorAll('#requests .pill')].some(one => one.textContent === '400')")
    PAGE.run("document.querySelector('#find').focus()")
    PAGE.type("nobody's")
    PAGE.wait("document.querySelectorAll('#requests tr').length === 1")
    [refused] = noted(PAGE)
    assert (refused["Status"], refused["Error"], refused["Model"]) == ("400", "provider refused", "nobody's <b>model</b>")
    assert HOSTILE_KEY in refused["Caller · key · team"] and HOSTILE_TEAM in refused["Caller · key · team"]
    [told] = [one for one in refusals if one["status"] == 400]
    assert told["request_id"] in refused["Request id · provider’s"], (told, refused)
    # A caller's limits and budgets are no failures.
    change = "const one = document.querySelector('#find'); one.value = '{}'; one.dispatchEvent(new Event('input'))"
    PAGE.run(f"{{{change.format('budget_exceeded')}}}")
    # The trial's, and of others as many as the budgets of this world have refused.
    wanted = sum(one["error"] == "budget_exceeded" for one in refusals)
    assert 0 < wanted < len(refusals), refusals
    PAGE.wait(f"document.querySelectorAll('#requests tr').length === {wanted}")
    assert {one["Status"] for one in noted(PAGE)} == {"429"}
    assert noted(PAGE)[0]["Caller · key · team"].startswith("trial")
    assert PAGE.run("document.activeElement.id") == "find"
    PAGE.run(f"{{{change.format('')}}}")
    PAGE.click("#kinds button:nth-child(2)")
    PAGE.wait("[...document.querySelectorAll('#requests .pill')].every(one => one.textContent >= '429')")
    PAGE.wait("document.querySelectorAll('#requests tr').length > 1")
    failed = noted(PAGE)
    told = WORLD.json("requests?kind=failed")["requests"]
    assert len(failed) == len(told), (len(failed), len(told))
    for shown, one in zip(failed, told, strict=True):
        assert shown["Status"] == str(one["status"]) and shown["Model"].startswith(one["model"]), shown
    PAGE.click("#kinds button:nth-child(1)")
    assert PAGE.run(pressed) == ["true", "false", "false", "false"]


@test
def callers_teams_and_keys_are_found_by_name():
    PAGE.run("document.querySelector('#find-scope').focus()")
    PAGE.type("TRIAL")
    PAGE.wait("document.querySelectorAll('#scopes tr').length === 1")
    assert list(scopes(PAGE)) == [("trial", "budget, day")]
    change = "const one = document.querySelector('#find-scope'); one.value = '{}'; one.dispatchEvent(new Event('input'))"
    PAGE.run(f"{{{change.format('nobody')}}}")
    PAGE.wait("!document.querySelector('#no-scopes').hidden")
    PAGE.run(f"{{{change.format('')}}}")
    PAGE.wait("document.querySelectorAll('#scopes tr').length > 4")


@test
def a_page_that_is_opened_later_has_the_last_five_minutes():
    kept = len(WORLD.json("recent")["points"])
    assert kept > 1, kept
    PAGE.do("Page.reload")
    PAGE.wait("document.readyState === 'complete'")
    PAGE.wait(LIVE)
    window = WORLD.json("recent")["window"]
    summed = f"document.querySelector('#rate-sum').textContent.startsWith('{window['requests']:,} requests')"
    PAGE.wait(summed)
    drawn = "document.querySelector('#{} .line').getBBox()"
    assert PAGE.run(f"{drawn.format('rate')}.height") > 50
    # Latencies may well be the same all the time, a level line; yet each point is drawn.
    points = "document.querySelector('#{} .{}').getAttribute('d').match(/H/g).length"
    for chart, line in (("rate", "line"), ("rate", "fail"), ("slow", "line"), ("slow", "high")):
        assert PAGE.run(points.format(chart, line)) >= kept, (chart, line, kept)
    assert whole(PAGE.run("document.querySelector('#rate').ariaLabel.match(/: ([\\d,]+) in all/)[1]")) > 100


@test
def names_are_text_and_nothing_else():
    assert PAGE.run("typeof owned") == "undefined"
    strange = "document.querySelectorAll('main img, main script, main b, main u, main bdi i, main svg svg').length"
    assert PAGE.run(strange) == 0
    text = PAGE.run("document.body.textContent")
    for name in [HOSTILE_PROVIDER, *HOSTILE_CALLERS, HOSTILE_MODEL, HOSTILE_KEY, HOSTILE_TEAM, HOSTILE_ALIAS]:
        assert name in text, name
    assert not [key for key in KEYS if key in PAGE.run("document.documentElement.outerHTML")]
    told = [WORLD.ask(f"/_infermux/{path}")[2] for path in ENDPOINTS]
    assert not [key for key in KEYS if key in "".join(told)]


@test
def spend_by_key_and_team_is_shown_where_callers_have_keys():
    shown = "['by-key', 'by-team', 'scopes'].map(name => document.getElementById(name).offsetParent !== null)"
    assert PAGE.run(shown) == [True] * 3
    # As it is without keys: the reports are empty.
    PAGE.run("const kept = costs; costs = { ...kept, keys: { keys: [] }, teams: { teams: [] }, scopes: { keys: [], teams: [] } }; showCosts(); showScopes(costs.scopes); void 0")
    assert PAGE.run(shown) == [False] * 3
    PAGE.run("costs = kept; showCosts(); showScopes(costs.scopes); void 0")
    assert PAGE.run(shown) == [True] * 3


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
def the_rules_of_axe_hold_in_both_schemes_and_sizes():
    if not AXE:
        return
    PAGE.run(Path(AXE).read_text() + ";void 0")
    PAGE.run("for (const one of document.querySelectorAll('details')) one.open = true")
    for width, scheme in ((1280, "light"), (1280, "dark"), (400, "light"), (400, "dark")):
        PAGE.show(width, 900, scheme)
        found = PAGE.run(
            "axe.run(document, { resultTypes: ['violations'] }).then(all => all.violations.map(one => "
            "[one.id, one.help, one.nodes.slice(0, 3).map(node => node.html.slice(0, 200))]))"
        )
        assert found == [], (width, scheme, json.dumps(found, indent=1))
    PAGE.show(1280, 900, "light")
    PAGE.run("for (const one of document.querySelectorAll('details')) one.open = false")


@test
def everything_is_reached_and_done_by_the_keyboard():
    PAGE.run("document.activeElement.blur(); scrollTo(0, 0)")
    reached = []
    for _ in range(60):
        PAGE.press("Tab", 9)
        reached.append(
            PAGE.run(
                "(one => one.id || one.getAttribute('aria-label') || one.textContent)(document.activeElement)"
            )
        )
        outline = PAGE.run("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", reached[-1]
        if reached[-1].startswith("Take out of rotation: alpha"):
            break
    assert reached[-1].startswith("Take out of rotation: alpha"), reached
    PAGE.press("Enter", 13, "\r")
    PAGE.wait("document.querySelector('#confirm').open")
    assert PAGE.run("document.activeElement.id") == "confirm-no"
    PAGE.press("Escape", 27)
    PAGE.wait("!document.querySelector('#confirm').open")
    focused = PAGE.run("document.activeElement.getAttribute('aria-label')")
    assert focused == "Take out of rotation: alpha", focused
    assert all(one["in_rotation"] for one in WORLD.json("providers"))


@test
def a_provider_is_taken_out_and_put_back():
    button = "[...document.querySelectorAll('#providers button')].find(one => one.ariaLabel === '{}: alpha')"
    PAGE.run(button.format("Take out of rotation") + ".click()")
    PAGE.wait("document.querySelector('#confirm').open")
    assert "put back by hand" in PAGE.run("document.querySelector('#confirm').innerText")
    PAGE.click("#confirm-yes")
    PAGE.wait("document.querySelector('#said').textContent === 'alpha: out of rotation'")
    assert [one["in_rotation"] for one in WORLD.json("providers") if one["name"] == "alpha"] == [False]
    PAGE.wait(f"{own('alpha')}.textContent.includes('Taken out of rotation by an operator at ')")
    PAGE.wait("document.querySelector('#news').textContent.includes('alpha: taken out')")
    names = PAGE.run("[...document.querySelectorAll('#providers tr.upper bdi')].map(one => one.textContent)")
    assert names.index("alpha") < names.index(HOSTILE_PROVIDER), names
    assert "1 taken out" in tile(PAGE, "Providers healthy")[1]
    assert ask_for("gpt-4o-mini", CALLERS_KEYS[0]) == 503
    PAGE.run(button.format("Put back into rotation") + ".click()")
    PAGE.wait("document.querySelector('#said').textContent === 'alpha: in rotation'")
    assert all(one["in_rotation"] for one in WORLD.json("providers"))
    PAGE.wait(f"!{own('alpha')}.textContent.includes('Taken out')")


@test
def a_circuit_is_opened_and_closed_by_hand():
    button = "[...document.querySelectorAll('#providers button')].find(one => one.ariaLabel.startsWith('{} the circuit of alpha'))"
    pill = f"{own('alpha')}.querySelector('.pill').textContent"
    PAGE.run(f"{own('alpha')}.querySelector('summary').click()")
    PAGE.run(button.format("Open") + ".click()")
    PAGE.wait("document.querySelector('#confirm').open")
    PAGE.press("Escape", 27)
    PAGE.wait("!document.querySelector('#confirm').open")
    assert WORLD.json("providers")[0]["circuit"] == "closed"
    PAGE.run(button.format("Open") + ".click()")
    PAGE.wait("document.querySelector('#confirm').open")
    PAGE.picture(PICTURES / "confirm.png")
    PAGE.click("#confirm-yes")
    PAGE.wait(f"{pill} === 'open'")
    assert WORLD.json("providers")[0]["circuit"] == "open"
    PAGE.wait("document.querySelector('#said').textContent === 'alpha: circuit open'")
    change = WORLD.json("changes")[0]
    assert (change["provider"], change["to"], change["reason"]) == ("alpha", "open", "manual")
    first = "document.querySelector('#changes tr').innerText.replace(/\\s+/g, ' ')"
    PAGE.wait(f"{first}.includes('alpha closed → open manual')")
    PAGE.run(button.format("Close") + ".click()")
    PAGE.wait(f"{pill} === 'closed'")
    assert WORLD.json("providers")[0]["circuit"] == "closed"
    PAGE.wait(f"{first}.includes('alpha open → closed manual')")
    PAGE.run(f"{own('alpha')}.querySelector('summary').click()")


@test
def updates_move_nothing_and_keep_the_focus():
    # A circuit that opens or closes meanwhile would move its provider's row.
    assert WORLD.ask("/_infermux/providers/beta/take-out", "POST")[0] == 200
    PAGE.wait("document.querySelector('#news').textContent.includes('beta: taken out')")
    PAGE.run("document.querySelector('#providers button:enabled').focus()")
    focused = "document.activeElement.getAttribute('aria-label')"
    before = PAGE.run(focused)
    PAGE.run(
        "window.moved = 0; new PerformanceObserver(list => { for (const one of list.getEntries())"
        " { const all = one.sources.map(source => source.node?.parentElement).filter(node => node && !node.closest('.scroll'));"
        " if (all.length) { moved += one.value; window.what = all.map(node => node.outerHTML.slice(0, 120)); } } })"
        ".observe({type: 'layout-shift'})"
    )
    busy = threading.Thread(target=WORLD.traffic, args=(1,))
    busy.start()
    seen = PAGE.run("document.querySelector('#tiles').textContent")
    PAGE.wait(f"document.querySelector('#tiles').textContent !== {json.dumps(seen)}")
    busy.join()
    assert before and PAGE.run(focused) == before
    assert PAGE.run("moved") < 0.01, PAGE.run("[moved, what]")
    assert WORLD.ask("/_infermux/providers/beta/put-back", "POST")[0] == 200


@test
def percentiles_are_also_those_of_the_last_minutes():
    # A look that is remembered here stands for one at which there were fewer requests.
    PAGE.run("histories[0] = {...structuredClone(last.now), at: histories[0].at}")
    PAGE.run("for (const one of histories[0].latency.values()) one.counts = new Map([[[...one.counts.keys()][0], 1]])")
    count = "document.querySelector('#latency .n').textContent"
    before = whole(PAGE.run(count))
    assert (series := PAGE.run("histories[0].latency.size")) > 0
    PAGE.click("#recent")
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


def own(name):
    """The expression of a provider's part of the table."""
    return (
        "[...document.querySelectorAll('#providers tbody')]"
        f".find(one => one.querySelector('bdi').textContent === {json.dumps(name)})"
    )


def ask_for(model, key, messages=({"role": "user", "content": "Hello?"},)):
    """The status of a caller's request."""
    connection = http.client.HTTPConnection("127.0.0.1", WORLD.callers, timeout=20)
    body = json.dumps({"model": model, "messages": messages})
    connection.request("POST", "/v1/chat/completions", body, {"Authorization": f"Bearer {key}"})
    answer = connection.getresponse()
    answer.read()
    return answer.status


LIVE = "document.querySelector('#link').textContent === 'live'"
ENDPOINTS = [
    *("status", "providers", "changes", "metrics", "latency", "costs", "keys", "recent", "requests"),
    *("costs/by-caller", "costs/by-key", "costs/by-team"),
]

if __name__ == "__main__":
    PICTURES.mkdir(parents=True, exist_ok=True)
    WORLD = World()
    PAGE = Chromium()
    atexit.register(PAGE.stop)
    atexit.register(WORLD.stop)
    sys.exit(pictures_for_the_readme() if README else main())
