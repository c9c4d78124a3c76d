"""Section E, local disk: locks, temporaries, and objects that change while they are stored."""

import threading
from pathlib import Path

import numpy as np
from tests.cases._case import case

from runstore import ObjectStore


@case("E5", "an array that another thread writes to during put is stored with a digest that fits")
def changed_while_it_is_put(folder: Path) -> None:
    view = ObjectStore(folder / "s").at(namespace="n", run="r")
    array = np.zeros(4 << 20)
    done = threading.Event()

    def change() -> None:
        while not done.is_set():
            np.add(array, 1, out=array)

    changer = threading.Thread(target=change)
    changer.start()
    try:
        for _ in range(10):
            view.put("x", array)
            view.get("x", verify=True)
    finally:
        done.set()
        changer.join()
