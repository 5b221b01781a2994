"""The chart: what it installed works, and it is upgraded in place."""

import json
import subprocess

from e2e.cluster.api import until
from e2e.cluster.install import CHART, RELEASE
from e2e.cluster.layout import OPERATOR_NAMESPACE
from e2e.cluster.rig import Rig


def helm(*arguments: str) -> str:
    command = ["helm", *arguments, f"--namespace={OPERATOR_NAMESPACE}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_an_upgrade_replaces_the_operator_and_no_gateway(rig: Rig) -> None:
    gateways, operators = rig.pod_ids(), rig.operator_ids()
    with rig.traffic() as traffic:
        helm("upgrade", RELEASE, str(CHART), "--reuse-values", "--set=verbose=true", "--wait", "--timeout=2m")
        rig.create_route("after-the-upgrade.example.com")
        rig.wait_for_answer("after-the-upgrade.example.com")
        # Helm waits for the new ones to be ready, not for the old ones to have gone.
        until("the old ones are gone", lambda: not rig.operator_ids() & operators)
    traffic.check(at_least=100)
    assert rig.pod_ids() == gateways
    history = json.loads(helm("history", RELEASE, "--output=json"))
    assert [release["status"] for release in history] == ["superseded", "deployed"]
