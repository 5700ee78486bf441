# Drives the origin's design as src/rows/origin.rs drives ours: python3 -c THIS FILE KIND COUNT STRIDE
import importlib.util, json, os, sys, threading, time

path, kind, n, stride = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
# Ends with the parent, which holds the other end of standard input.
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(1)), daemon=True).start()
spec = importlib.util.spec_from_file_location("origin", path)
origin = importlib.util.module_from_spec(spec)
sys.dont_write_bytecode = True
spec.loader.exec_module(origin)

number = lambda i: (i + 1) * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF
text = lambda i: "%012x" % ((i + 1) * 0x9E3779B97F4B & 0xFFFFFFFFFFFF)
make, make_value = {"numbers": (number, number), "texts": (text, number), "both": (text, text)}[kind]


def resident():
    for name, field in (("smaps_rollup", "Rss:"), ("status", "VmRSS:")):
        try:
            with open("/proc/self/" + name) as lines:
                return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))
        except (OSError, StopIteration):
            pass
    return None


before, data = resident(), None
if before is not None:
    store = origin.KeyValueStore()
    for i in range(n):
        store.put(make(i), make_value(i + (1 << 32)))
    data = (resident() - before) / n
    del store

store = origin.KeyValueStore()
entries = [(make(i), make_value(i + (1 << 32))) for i in range(n)]
put, get = store.put, store.get
start = time.perf_counter()
for key, value in entries:
    put(key, value)
write = time.perf_counter() - start
del entries
order = [make(i * stride % n) for i in range(n)]
start = time.perf_counter()
for key in order:
    get(key)
read = time.perf_counter() - start
print(json.dumps({"write": write / n * 1e6, "read": read / n * 1e6, "bytes": data}))
sys.stdout.flush()
os._exit(0)
