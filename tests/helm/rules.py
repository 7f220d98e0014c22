"""Claims about alerts and the dashboard: Prometheus reads them, they fire when they should, and ask for metrics that there are."""

import json
import re
import subprocess
import tempfile

import yaml

from rendering import CHART, ROOT, profile, render, run

PROMRULES = ROOT / "target/clients/helm/promrules"
RULES = [CHART / "rules/records.yaml", CHART / "rules/alerts.yaml"]
DASHBOARD = json.loads((CHART / "dashboards/sabir.json").read_text())
METRICS = (CHART / "metrics.txt").read_text().split()


def promrules(*arguments):
    done = subprocess.run([PROMRULES, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr).strip()
    return done.stdout


def every_rule():
    for file in RULES:
        for group in yaml.safe_load(file.read_text())["groups"]:
            yield from group["rules"]


def queries():
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", []):
            yield target["expr"]


def prometheus_reads_the_rules():
    promrules("check", *RULES)


def alerts_fire_when_they_should():
    promrules("test", ROOT / "tests/helm/alerts.yaml", *RULES)


def a_wrong_case_is_noticed():
    cases = yaml.safe_load((ROOT / "tests/helm/alerts.yaml").read_text())
    cases[0]["firing"] = ["SabirDown"]
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump(cases, file)
        file.flush()
        done = subprocess.run([PROMRULES, "test", file.name, *RULES], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "[] fire, not [SabirDown]" in done.stdout, done.stdout


def alerts_say_what_to_do():
    alerts = [rule for rule in every_rule() if "alert" in rule]
    for rule in alerts:
        name = rule["alert"]
        assert re.fullmatch(r"Sabir[A-Z][A-Za-z]+", name), name
        assert rule["labels"]["severity"] in ("critical", "warning", "info"), name
        assert len(rule["annotations"]["summary"]) > 10 and len(rule["annotations"]["description"]) > 40, name
    assert len({rule["alert"] for rule in alerts}) == len(alerts)


def every_alert_has_an_entry_in_the_runbook():
    text = (ROOT / "docs/operations.md").read_text()
    chapter = text.split("\n## When an alert fires\n")[1].split("\n## ")[0]
    entries = re.findall(r"^#### (Sabir\w+)\n\n(.*?)(?=\n#|\Z)", chapter, re.DOTALL | re.MULTILINE)
    alerts = {rule["alert"] for rule in every_rule() if "alert" in rule}
    assert {name for name, _ in entries} == alerts and len(entries) == len(alerts), "entries and alerts differ"
    for name, entry in entries:
        for part in ("**Means.**", "**Look.**", "**Do.**"):
            assert part in entry, f"{name}: {part}"
        # An anchor is made of a heading once: a second heading of this name would get another.
        assert len(re.findall(rf"^#+ {name}$", text, re.MULTILINE | re.IGNORECASE)) == 1, name


def prometheus_reads_the_dashboard():
    plain = []
    for query in queries():
        for variable, value in (("$__rate_interval", "5m"), ("$job", "sabir"), ("$provider", "openai")):
            query = query.replace(variable, value)
        assert "$" not in query, f"{query}: a variable that the dashboard does not have"
        plain.append(query)
    with tempfile.NamedTemporaryFile("w") as file:
        file.write("\n".join(plain) + "\n")
        file.flush()
        assert promrules("expressions", file.name) == f"{len(plain)} expressions\n"


def the_dashboard_is_sound():
    names = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    assert names == {"datasource", "job", "provider"}
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids) > 20 and DASHBOARD["uid"] == "sabir" and "id" not in DASHBOARD
    taken = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken, f"{panel['title']} lies on another panel"
        taken |= cells
        assert panel["type"] == "row" or panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        for target in panel.get("targets", []):
            assert target["datasource"]["uid"] == "${datasource}", panel["title"]
            assert target["expr"].count("$job") >= 1, f"{panel['title']}: not of the chosen job"


def metrics_are_those_of_the_list():
    records = {rule["record"] for rule in every_rule() if "record" in rule}
    word = re.compile(r"(?<![\"=~\w:.])((?:sabir|gen_ai|process)[_:][a-z0-9_:]+)(?=\s*[\[{)]|\s|$)")
    used = set()
    for query in [*queries(), *(rule["expr"] for rule in every_rule())]:
        # Labels stand in braces and behind `by`.
        bare = re.sub(r"(by|on|ignoring|group_left|without) *\([^)]*\)", "", re.sub(r"\{[^}]*\}", "", query))
        used |= set(word.findall(bare))
    base = {re.sub(r"_(bucket|sum|count)$", "", name) for name in used - records}
    assert base == set(METRICS), f"not both in helm/metrics.txt and in a rule or panel: {sorted(base ^ set(METRICS))}"
    assert METRICS == sorted(set(METRICS))
    assert records & used, "records are there to be asked for"


def the_chart_hands_on_the_rules():
    objects = render(profile("production"))
    groups = objects.one("PrometheusRule")["spec"]["groups"]
    alerts = {rule["alert"]: rule for group in groups for rule in group["rules"] if "alert" in rule}
    given = {rule["alert"]: rule for rule in every_rule() if "alert" in rule}
    assert alerts.keys() == given.keys() - {"SabirBudgetSpent"} | {"SabirNobodyCalls"}
    assert alerts["SabirDown"]["labels"] == {"severity": "critical", "team": "platform"}
    runbook = {"runbook_url": "https://wiki.example.com/sabir/operations#sabirdown"}
    assert alerts["SabirDown"]["annotations"] == given["SabirDown"]["annotations"] | runbook, "braces are Prometheus's, not Helm's"
    everything = render({"prometheusRule": {"enabled": True}}).one("PrometheusRule")["spec"]["groups"]
    assert not [rule for group in everything for rule in group["rules"] if "runbook_url" in rule.get("annotations", {})]
    config = objects.one("ConfigMap", "-dashboards")
    assert json.loads(config["data"]["sabir.json"]) == DASHBOARD and config["metadata"]["labels"]["grafana_dashboard"] == "1"
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump({"groups": groups}, file)
        file.flush()
        promrules("check", file.name)


if __name__ == "__main__":
    run([
        prometheus_reads_the_rules,
        alerts_fire_when_they_should,
        a_wrong_case_is_noticed,
        alerts_say_what_to_do,
        every_alert_has_an_entry_in_the_runbook,
        prometheus_reads_the_dashboard,
        the_dashboard_is_sound,
        metrics_are_those_of_the_list,
        the_chart_hands_on_the_rules,
    ])
