"""Find every broken invariant, and name the one command that heals it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

from thinmesh.kernel.errors import Internal, MeshError
from thinmesh.kernel.progress import Progress

from .backend import Backends, Projection, Tools
from .checks import BY_THE_LOG, CHECKS
from .checks.scene import Check, Scene
from .model import BROKEN, OK, WARNING, Diagnosis, Finding

_MOST = 20  # findings of one invariant that are told one by one


def diagnose(
    backends: Backends, tools: Tools, projections: list[Projection], deep: bool, progress: Progress
) -> Diagnosis:
    """Hold the home against every invariant; a check that cannot be made is a finding too."""
    progress("reading the log", 0, len(CHECKS))
    scene = Scene.observe(backends, tools, projections, deep)
    findings = [finding for found in _each(scene, CHECKS, progress) for finding in found]
    return Diagnosis(all(finding.state != BROKEN for finding in findings), tuple(findings))


def _each(scene: Scene, checks: Mapping[str, Check], progress: Progress) -> list[list[Finding]]:
    found = []
    for number, (invariant, check) in enumerate(checks.items()):
        progress(f"checking {invariant}", number, len(checks))
        found.append(_findings(invariant, check, scene))
    return found


def _findings(invariant: str, check: Check, scene: Scene) -> list[Finding]:
    if invariant in BY_THE_LOG and not scene.log_stands:
        return [Finding(invariant, WARNING, "it cannot be judged before the log is whole", scene.log_heal)]
    findings: list[Finding] = []
    try:
        faults = check(scene)
        for fault in islice(faults, _MOST):
            findings.append(Finding(invariant, fault.state, fault.detail, fault.heal))
        more = sum(1 for _ in faults)
    except Exception as error:
        # Whatever a damaged home makes a check raise is what there is to tell.
        said = error.detail if isinstance(error, MeshError) else f"{type(error).__name__}: {error}"
        # An internal error advises to ask doctor.
        heal = error.help if isinstance(error, MeshError) and not isinstance(error, Internal) else scene.data_heal
        return [*findings, Finding(invariant, BROKEN, f"it cannot be checked: {said}", heal)]
    if more:
        worst = findings[0].state if findings else WARNING
        findings.append(Finding(invariant, worst, f"and {more} more", findings[0].heal))
    return findings or [Finding(invariant, OK)]
