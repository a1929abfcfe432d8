"""Every bound of the worker, with its reason. Sizes in bytes unless the name says otherwise."""

from typing import Final

MIB: Final = 1024 * 1024

# The appliance refuses a larger payload; a legitimate control message is a few KiB.
FRAME_PAYLOAD: Final = 4 * MIB

# A failure travels in a frame, a row error in a file that may hold one for every row.
FAILURE_MESSAGE: Final = 8 * 1024
FAILURE_TRACEBACK: Final = 16 * 1024
ROW_ERROR_MESSAGE: Final = 2 * 1024
ROW_ERROR_TRACEBACK: Final = 8 * 1024
# When every row fails the same way, the first few tracebacks tell all there is to tell.
FULL_ROW_TRACEBACKS: Final = 100
LATER_ROW_TRACEBACK: Final = 1024
TRACEBACK_FRAMES: Final = 60
TRACEBACK_CAUSES: Final = 4

# Stored with the plugin and shown in the console.
WARNINGS: Final = 100
FEATURES: Final = 32
EMBEDDING_DIM: Final = 65_536
JSON_DEPTH: Final = 64

# A document's fields; the documents process refuses more.
ROW_FIELDS: Final = MIB

# A slice is what is in memory at once. With one step, vectors leave as float32 with each batch; with more, an
# embedding may wait as a list of Python floats, about eight times as large, until the last step has seen it.
SLICE_ROWS: Final = 16_384
CHAINED_SLICE_ROWS: Final = 4_096
SLICE_INPUT: Final = 32 * MIB
SLICE_VECTORS: Final = 96 * MIB
VECTOR_CELL: Final = 4
LIST_CELL: Final = 32
SLICE_ROWS_AT_LEAST: Final = 64
# Rows whose pickles are made, and read, at once between two step groups: they are in memory beside the slice.
HANDED_ROWS: Final = 256

BATCH_ROWS: Final = {"cpu": 64, "gpu": 8, "api": 64}
CALLABLE_BATCH_ROWS: Final = 1024
CALLABLE_BATCH_INPUT: Final = 8 * MIB

# Calls of an API step at once, of a plugin that declares no max_concurrency, and the most that one may declare.
API_CALLS: Final = 8
MOST_CALLS: Final = 256
# Batches under way or done while an earlier one is not: what they returned is held until it is its turn.
API_CALLS_AHEAD: Final = 64
# Of a thread that calls a processor: the 8 MiB of the system would be a good part of a worker's memory.
CALL_STACK: Final = 2 * MIB
# Of a call that fails since the service does not answer. Waits are drawn from 0 to the base, doubled each time, up to the cap.
API_TRIES: Final = 6
API_WAIT_SECONDS: Final = 120.0
RETRY_BASE_SECONDS: Final = 1.0
RETRY_CAP_SECONDS: Final = 30.0
# Calls that fail so, one after another: more than it takes to find the one row that a service fails of (6 tries of the batch, one
# of each half of 16,384 rows, 6 of the row).
OUTAGE_FAILURES: Final = 32
# A step whose service was not there for so long has its batch held, until somebody resumes it.
OUTAGE_SECONDS: Final = 600.0
# Over which it is told how often the rows of a step fail.
FAILURE_WINDOW_ROWS: Final = 8_192
# pandas at work on a batch, before its rows are looked at; and less than anything that looks at a row.
USUAL_CALL_SECONDS: Final = 200e-6
LEAST_ROW_SECONDS: Final = 0.1e-6
# Where memory is short, what waits between two steps is as well.
CALLS_PER_SHORT_SLICE: Final = 16

# A batch of realtime calls: more would keep the first ones waiting for the last.
MAX_BATCH_CALLS: Final = 256

PROGRESS_SECONDS: Final = 0.5
# The appliance takes an event of at most 1024 bytes and ends a worker over a larger one.
PROGRESS_MESSAGE: Final = 700
# Of a plugin with more, the first ones are told of.
PROGRESS_STEPS: Final = 32

# Of a locked-down worker. The appliance takes results of 2 GiB of scalars, and vectors by their declared size.
WRITTEN_FILE: Final = 8 * 1024 * MIB
# Timers and signals that wait. The kernel counts them for the user, who is the appliance too: one worker could leave none to anybody.
PENDING_SIGNALS: Final = 1024
# Libraries map their files and close them; a worker with all of the base packages holds fewer than twenty.
LEAST_OPEN_FILES: Final = 32
# As many as calls of an API step. The egress proxy has two threads for each of them, with a buffer of 64 KiB and, on many cores, an
# arena of the allocator in each.
PROXY_CONNECTIONS: Final = MOST_CALLS
PROXY_STACK: Final = 256 * 1024
PROXY_MEMORY: Final = 512 * MIB
# Python with numpy, pandas and pyarrow needs about 150 MiB of data; less than this is a mistake in a setting.
LEAST_MEMORY: Final = 256 * MIB
