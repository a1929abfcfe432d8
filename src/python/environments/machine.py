"""What this interpreter and its machine take, for whoever collects wheels elsewhere: tags, markers, the C library, CUDA."""

import platform
import sysconfig
from typing import Any

from environments.pip_of_interpreter import import_pip


def machine() -> dict[str, Any]:
    """{"ok": true, python, abi, platforms: most specific first, markers, libc: [name, version]}. Raises ToolFailed without pip."""
    import_pip()
    from pip._vendor.packaging.markers import default_environment
    from pip._vendor.packaging.tags import sys_tags

    platforms = list(dict.fromkeys(tag.platform for tag in sys_tags()))
    return {
        "ok": True,
        "python": platform.python_version(),
        "abi": f"cp{''.join(platform.python_version_tuple()[:2])}",
        "platforms": platforms,
        "markers": {name: str(value) for name, value in default_environment().items()},
        "libc": list(platform.libc_ver()),
        "soabi": sysconfig.get_config_var("SOABI") or "",
    }
