"""The public Python SDK against a running appliance: `sdk_session.py URL KEY NAMESPACE PLUGIN PLUGIN_THAT_LACKS_A_MODULE`.

Prints one line per operation that held; ends with exit code 1 at the first that did not.
"""

from __future__ import annotations

import sys

import generated_client
import high_level_client
import refusals
from sdk_checks import NEVER_NULL, Session


def main() -> None:
    url, key, namespace, plugin, plugin_that_lacks_a_module = sys.argv[1:]
    session = Session(url, key, namespace)
    generated_client.walk(session, plugin, plugin_that_lacks_a_module)
    refusals.walk(session, plugin)
    high_level_client.walk(session, plugin)
    unmet = sorted(NEVER_NULL.keys() - session.met)
    assert unmet == [], f"no answer held these models: {unmet}"


if __name__ == "__main__":
    main()
