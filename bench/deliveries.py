"""A Git host in a hurry: sends deliveries at a steady rate and prints what became of each, as JSON.

`python -m bench.deliveries` reads {"url", "secret", "payload", "rate", "seconds"} on standard input. An open loop: a
slow answer does not hold back the next delivery. A process of its own, so that nothing else of the bench delays it.
"""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from bench.hooks import Receiver, Sent

_SENDERS = 16


def main() -> None:
    wanted = json.load(sys.stdin)
    receiver, rate = Receiver(wanted["url"], wanted["secret"]), float(wanted["rate"])
    start = time.perf_counter()

    def one(number: int) -> tuple[Sent, float]:
        due = start + number / rate
        time.sleep(max(0.0, due - time.perf_counter()))
        late = time.perf_counter() - due
        return receiver.send(wanted["payload"]), late

    with ThreadPoolExecutor(_SENDERS) as pool:
        found = list(pool.map(one, range(int(rate * wanted["seconds"]))))
    json.dump([{"took": sent.took, "status": sent.status, "late": late} for sent, late in found], sys.stdout)


if __name__ == "__main__":
    main()
