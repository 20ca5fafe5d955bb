"""Workers in this process that get and give back nothing but bytes, as another process would."""

import pickle
import random
import time
from concurrent.futures import ThreadPoolExecutor

import torch

from tiled_diffusion.engine.pool import Pool
from tiled_diffusion.engine.runner import kept
from tiled_diffusion.standalone.cluster.replica import Replica


class Place:
    """A worker that pickles; models of one process are not safe in two threads, so all places take turns."""

    executor = ThreadPoolExecutor(1)

    def __init__(self, model, name, delay=0.0):
        self.name, self.delay, self.replica = name, delay, Replica(model)
        self.sent, self.received, self.does = [], [], None

    def start(self, job):
        data = pickle.dumps(job)
        self.sent.append(data)
        if self.delay:
            time.sleep(random.Random(len(self.sent)).random() * self.delay)
        return self.executor.submit(self._done, data)

    def _done(self, data):
        torch.set_num_threads(1)
        job = pickle.loads(data)
        result = job(self.replica) if self.does is None else self.does(job, self.replica)
        self.received.append(pickle.dumps(result))
        return pickle.loads(self.received[-1])

    def stop(self):
        self.replica = None


class Nowhere:
    """A model in the driver's place that must not be asked."""


def places(model, count=2, delay=0.0, home=None):
    """A runner over `count` of them."""
    return Pool([Place(model, f"place {k}", delay) for k in range(count)], home or Replica(model), kept)
