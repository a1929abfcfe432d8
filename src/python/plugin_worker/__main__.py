"""Start of a worker: guard the process, greet on descriptor 3, then answer requests until the channel closes.

Standard library only, one thread, and nothing of the plugin or of site-packages is on sys.path until the appliance has had
the worker lock itself down.
"""

import os
import sys

_WORKER = os.path.dirname(os.path.abspath(__file__))
_TREE = os.path.dirname(_WORKER)
# Python puts this directory first, where `manifest` or `batch` would be ours instead of the plugin's.
sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != _WORKER]
sys.path.append(_TREE)

from plugin_worker.output_capture import prepare_streams  # noqa: E402
from plugin_worker.parent_death import die_with_parent  # noqa: E402
from plugin_worker.protocol import CHANNEL_DESCRIPTOR, Channel, Inbox  # noqa: E402
from plugin_worker.worker import Worker  # noqa: E402

die_with_parent()
prepare_streams()
Worker(Channel(CHANNEL_DESCRIPTOR), Inbox(CHANNEL_DESCRIPTOR)).serve()
