"""A small scheduler: objects, methods, attributes, short calls."""


class Packet:
    def __init__(self, kind, value):
        self.kind = kind
        self.value = value
        self.next = None


class Queue:
    def __init__(self):
        self.first = None
        self.last = None
        self.size = 0

    def put(self, packet):
        packet.next = None
        if self.first is None:
            self.first = packet
        else:
            self.last.next = packet
        self.last = packet
        self.size += 1

    def take(self):
        packet = self.first
        if packet is not None:
            self.first = packet.next
            self.size -= 1
        return packet

    def is_empty(self):
        return self.first is None


class Task:
    def __init__(self, name, scheduler):
        self.name = name
        self.queue = Queue()
        self.scheduler = scheduler
        self.done = 0

    def run(self):
        packet = self.queue.take()
        if packet is None:
            return False
        self.handle(packet)
        self.done += 1
        return True

    def handle(self, packet):
        raise NotImplementedError


class Worker(Task):
    def handle(self, packet):
        packet.value = (packet.value * 7 + 3) % 1009
        self.scheduler.send("device" if packet.value % 3 else "handler", packet)


class Handler(Task):
    def handle(self, packet):
        packet.kind = "work" if packet.value % 2 else "dev"
        self.scheduler.send("worker", packet)


class Device(Task):
    def handle(self, packet):
        packet.value += 1
        self.scheduler.send("worker", packet)


class Scheduler:
    def __init__(self):
        self.tasks = {"worker": Worker("worker", self), "handler": Handler("handler", self), "device": Device("device", self)}
        self.sent = 0

    def send(self, name, packet):
        self.sent += 1
        self.tasks[name].queue.put(packet)

    def loop(self, rounds):
        for _ in range(rounds):
            for task in self.tasks.values():
                if not task.queue.is_empty():
                    task.run()


scheduler = Scheduler()
for i in range(10):
    scheduler.send("worker", Packet("work", i))
scheduler.loop(50000)
print(scheduler.sent, [task.done for task in scheduler.tasks.values()])
