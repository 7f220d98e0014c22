"""Renders the chart as `helm template` does. It knows no claim about what comes of it."""

import copy
import functools
import pathlib
import sys

import helm_python as helm
import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CHART = ROOT / "helm"
PROFILES = sorted((CHART / "ci").glob("*-values.yaml"))
NAMESPACE = "llm"


def profile(name):
    """The values of a profile in `helm/ci`."""
    return yaml.safe_load((CHART / "ci" / f"{name}-values.yaml").read_text()) or {}


def merged(base, change):
    """`base` with `change` laid over it, as Helm does with values."""
    if not (isinstance(base, dict) and isinstance(change, dict)):
        return copy.deepcopy(change)
    return base | {key: merged(base.get(key), value) for key, value in change.items()}


@functools.cache
def chart():
    return helm.Chart.load(CHART)


class Rendered(list):
    """The objects of a release."""

    def of(self, kind, end=""):
        return [one for one in self if one["kind"] == kind and one["metadata"]["name"].endswith(end)]

    def one(self, kind, end=""):
        found = self.of(kind, end)
        assert len(found) == 1, f"{len(found)} objects {kind} {end}"
        return found[0]

    def pods(self):
        """What pods are made of, with the name of the object that makes them."""
        for one in self:
            if one["kind"] == "Pod":
                yield one["metadata"]["name"], one["spec"]
            elif one["kind"] in ("Deployment", "Job"):
                yield one["metadata"]["name"], one["spec"]["template"]["spec"]


def texts(values, name="sabir", **options):
    """The text of each template."""
    return chart().render(values, name=name, namespace=NAMESPACE, **options)


def render(values, name="sabir", **options):
    found = Rendered()
    for path, text in sorted(texts(values, name, **options).items()):
        if not path.endswith("NOTES.txt"):
            found += filter(None, yaml.load_all(text, UniqueKeys))
    return found


class UniqueKeys(yaml.SafeLoader):
    """Refuses a map that has a key twice, which most readers would take for the last."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key) for key, _ in node.value]
        assert len(set(keys)) == len(keys), f"a key is there twice: {keys}"
        return super().construct_mapping(node, deep)


def refusal(values):
    """What Helm says to values that cannot be used; nothing if it takes them."""
    try:
        render(values)
    except helm.HelmError as error:
        return str(error)
    return ""


def run(claims):
    """Checks claims, functions that fail by an exception, and says which hold."""
    failed = 0
    for claim in claims:
        try:
            claim()
        except Exception as error:  # noqa: BLE001
            failed += 1
            text = str(error) if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"
            print(f"FAILED {claim.__name__}: {text}")
        else:
            print(f"ok {claim.__name__}")
    sys.exit(failed > 0)
