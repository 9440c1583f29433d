"""The conda environments: their form, their pins, and equality with the lock of pip.

What conda would make of them was not tried: these tests read, they do not solve.
"""

import re
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

REPOSITORY = Path(__file__).parents[2]
FILES = sorted(path.name for path in (REPOSITORY / "envs").glob("*.yaml"))
CHANNELS = ["conda-forge", "bioconda", "nodefaults"]
PIP_NAMES = {"pytorch": "torch", "matplotlib-base": "matplotlib", "python-xxhash": "xxhash"}
PYTHON = "3.11"
MATCH = re.compile(r"[a-z0-9][a-z0-9._-]* (=[0-9][0-9a-z.]*|>=[0-9][0-9a-z.]*)")


def environment(name: str) -> dict[str, list[object]]:
    return yaml.safe_load((REPOSITORY / "envs" / name).read_text())


def conda_specs(name: str) -> list[str]:
    return [one for one in environment(name)["dependencies"] if isinstance(one, str)]


def pip_specs(name: str) -> list[str]:
    return [
        spec
        for one in environment(name)["dependencies"]
        if isinstance(one, dict)
        for spec in one["pip"]
    ]


def locked() -> dict[str, str]:
    """Versions of the lock for the Python of the environments, and of torch."""
    found = {}
    for line in (REPOSITORY / "requirements.lock").read_text().splitlines():
        if re.match(r"[A-Za-z0-9]", line):
            pin = Requirement(line.rstrip(" \\"))
            marked = {"python_full_version": f"{PYTHON}.9", "python_version": PYTHON}
            if pin.marker is None or pin.marker.evaluate(marked):
                (specifier,) = pin.specifier
                found[pin.name] = specifier.version
    torch = re.search(r"^TORCH \?= torch==(\S+)$", (REPOSITORY / "Makefile").read_text(), re.M)
    assert torch
    return found | {"torch": torch[1]}


def test_every_rule_names_an_environment_that_exists() -> None:
    named = set()
    for path in (REPOSITORY / "rules").glob("*.smk"):
        named |= set(re.findall(r"envs/(\w+\.yaml)", path.read_text()))
    assert named
    assert named <= set(FILES)


@pytest.mark.parametrize("name", FILES)
def test_an_environment_has_channels_and_pinned_dependencies_and_nothing_else(name: str) -> None:
    found = environment(name)
    assert list(found) == ["channels", "dependencies"]
    assert found["channels"] == CHANNELS
    specs = conda_specs(name)
    assert specs[0] == f"python ={PYTHON}"
    assert len(specs) == len(set(specs))
    for spec in specs:
        assert spec == "pip" or MATCH.fullmatch(spec), spec
    for spec in pip_specs(name):
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9A-Za-z.]*", spec), spec


@pytest.mark.parametrize("name", FILES)
def test_conda_reads_every_dependency_and_the_lock_satisfies_it(name: str) -> None:
    """Rattler's own match specifications and versions, as conda and mamba compare them."""
    rattler = pytest.importorskip("rattler")
    versions = locked()
    for spec in conda_specs(name):
        if spec in ("pip", f"python ={PYTHON}"):
            continue
        match = rattler.MatchSpec(spec, strict=True)
        package = match.name.normalized
        pinned = versions[PIP_NAMES.get(package, package)]
        assert match.matches(record(rattler, package, pinned)), f"{spec}, but the lock has {pinned}"
        assert not match.matches(record(rattler, package, "0.0.1")), f"{spec} accepts any version"


def record(rattler: ModuleType, package: str, version: str) -> object:
    """A package of a channel, as rattler compares it with a specification."""
    return rattler.PackageRecord(
        name=package,
        version=version,
        build=rattler.BuildString("0"),
        build_number=0,
        subdir="linux-64",
        arch=None,
        platform=None,
    )


@pytest.mark.parametrize("name", FILES)
def test_the_lock_satisfies_every_dependency_by_the_rules_of_pip(name: str) -> None:
    """The same without rattler: `=x.y` fits x.y and x.y.anything, `>=x` what is not older."""
    versions = locked()
    for spec in conda_specs(name):
        package, _, wanted = spec.partition(" ")
        if package in ("pip", "python"):
            continue
        pinned = Version(versions[PIP_NAMES.get(package, package)])
        if wanted.startswith(">="):
            assert pinned >= Version(wanted[2:]), spec
        else:
            exact = wanted[1:]
            assert str(pinned) == exact or str(pinned).startswith(f"{exact}."), spec


def test_packages_of_pip_are_those_of_the_lock_where_it_has_them() -> None:
    versions = locked()
    for name in ("cpu.yaml", "gpu.yaml", "motif_discovery.yaml"):
        for spec in pip_specs(name):
            package, _, pinned = spec.partition("==")
            assert versions[package] == pinned, f"{name}: {spec}"


def test_environments_differ_only_where_they_say_so() -> None:
    """A rule's numbers must not depend on which environment it runs in."""
    pins: dict[str, set[str]] = {}
    for name in FILES:
        for spec in conda_specs(name):
            pins.setdefault(spec.partition(" ")[0], set()).add(spec)
    assert {package: found for package, found in pins.items() if len(found) > 1} == {}


def test_the_container_is_built_from_the_same_lock() -> None:
    """Both definitions install torch first, then the hashed lock, as the Makefile does."""
    makefile = (REPOSITORY / "Makefile").read_text()
    torch = re.search(r"torch==[0-9.]+", makefile)
    assert torch
    for name in ("Dockerfile", "seqtrust.def"):
        text = (REPOSITORY / "envs" / name).read_text()
        assert torch[0] in text, name
        assert "--require-hashes -r" in text, name
        assert text.index(torch[0]) < text.index("--require-hashes -r"), name
        assert re.search(rf"python:{re.escape(PYTHON)}[0-9.]*-slim", text), name
        assert "requirements.lock" in text, name


def test_the_workflow_names_one_container() -> None:
    texts = [path.read_text() for path in (REPOSITORY / "rules").glob("*.smk")]
    snakefile = (REPOSITORY / "Snakefile").read_text()
    assert len(re.findall(r"^container:", snakefile, re.M)) == 1
    assert not [text for text in texts if re.search(r"^\s*container:", text, re.M)]


def test_the_lock_has_hashes_and_no_address() -> None:
    """Without a service of known faults, hashes are what is left: nothing else can be installed."""
    text = (REPOSITORY / "requirements.lock").read_text()
    pins = re.split(r"\n(?=[A-Za-z0-9])", text.strip())
    assert len(pins) > 100
    assert not [pin.split()[0] for pin in pins if "--hash=sha256:" not in pin]
    assert "://" not in text


@pytest.mark.parametrize("name", ["conda", "apptainer"])
def test_profiles_change_nothing_but_where_rules_run(name: str) -> None:
    """What decides on re-runs is the same in all of them."""
    default = yaml.safe_load((REPOSITORY / "profiles/default/config.yaml").read_text())
    other = yaml.safe_load((REPOSITORY / f"profiles/{name}/config.yaml").read_text())
    assert other["software-deployment-method"] == name
    for key in ("rerun-triggers", "rerun-incomplete", "printshellcmds"):
        assert other[key] == default[key]
