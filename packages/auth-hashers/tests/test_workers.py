"""Hash work under load: few threads, a bounded queue, any event loop, and a clean end."""

import asyncio
import contextvars
import logging
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

import anyio
import anyio.to_thread
import pytest
import trio

from starlette_auth_hashers import (
    Argon2Hasher,
    BaseHasher,
    HasherBusy,
    PBKDF2Hasher,
    _workers,
    waiting,
)

pytestmark = pytest.mark.anyio

CHEAP = PBKDF2Hasher(rounds=1)
Configure = Callable[..., None]


async def acquire(semaphore: threading.Semaphore) -> None:
    """Wait for a thread without stopping the loop."""
    await anyio.to_thread.run_sync(semaphore.acquire)


class TestQueue:
    async def test_beyond_it_is_busy_at_once(self, configure: Configure, gated: Any) -> None:
        configure(workers=1, max_waiting=2)
        assert waiting() == 0

        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(gated.verify, "secret", "hash of secret")
            await acquire(gated.begun)
            assert waiting() == 2
            for check in (gated.verify("a", "b"), gated.verify_and_update("a", "b")):
                with pytest.raises(HasherBusy, match="2 password hashes wait") as caught:
                    await check
                assert isinstance(caught.value, TimeoutError)
                assert caught.value.waiting == 2
            with pytest.raises(HasherBusy):
                await gated.make("secret")
            with pytest.raises(HasherBusy):
                await gated.dummy_verify("secret", "alice")
            gated.gate.set()

        assert waiting() == 0
        assert len(gated.checked) == 3
        assert await gated.verify("secret", "hash of secret")

    async def test_blocking_methods_need_no_worker(self, configure: Configure, gated: Any) -> None:
        configure(workers=1, max_waiting=0)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(gated.verify, "secret", "x")
            await acquire(gated.begun)
            assert CHEAP.verify_sync("secret", CHEAP.make_sync("secret"))
            gated.gate.set()

    async def test_queued_work_that_is_cancelled_is_dropped(
        self, configure: Configure, gated: Any
    ) -> None:
        configure(workers=1, max_waiting=10)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(gated.make, "first")
            await acquire(gated.begun)
            async with anyio.create_task_group() as others:
                for number in range(10):
                    others.start_soon(gated.make, f"other {number}")
                with anyio.fail_after(30):
                    while waiting() < 10:
                        await anyio.lowlevel.checkpoint()
                others.cancel_scope.cancel()
            assert waiting() == 0
            gated.gate.set()
            await gated.make("last")

        assert gated.made == ["first", "last"]

    async def test_running_work_that_is_cancelled_keeps_its_place(
        self, configure: Configure, gated: Any
    ) -> None:
        configure(workers=1, max_waiting=0)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(gated.make, "first")
            await acquire(gated.begun)
            tasks.cancel_scope.cancel()
        with pytest.raises(HasherBusy):
            await gated.make("second")
        gated.gate.set()
        # It ends in its own time; then there is room.
        with anyio.fail_after(30):
            while True:
                try:
                    await gated.make("third")
                    break
                except HasherBusy:
                    await anyio.lowlevel.checkpoint()
        assert gated.made == ["first", "third"]

    async def test_never_more_at_once_than_workers(self, configure: Configure) -> None:
        configure(workers=2, max_waiting=100)
        lock = threading.Lock()
        pair = threading.Barrier(2)
        running, most = 0, 0

        class Counting(BaseHasher):
            def make_sync(self, secret: str) -> str:
                nonlocal running, most
                with lock:
                    running += 1
                    most = max(most, running)
                pair.wait(30)
                with lock:
                    running -= 1
                return secret

            def verify_sync(self, secret: str, hashed: str | None) -> bool:
                return False

        async with anyio.create_task_group() as tasks:
            for _ in range(40):
                tasks.start_soon(Counting().make, "secret")
        assert most == 2

    async def test_200_logins_at_once_on_one_core(
        self, configure: Configure, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_workers, "usable_cores", lambda: 1)
        hashed = CHEAP.make_sync("secret")
        answers: list[bool] = []

        async def login(number: int) -> None:
            answers.append(await CHEAP.verify("secret" if number % 2 else "wrong", hashed))

        async with anyio.create_task_group() as tasks:
            for number in range(200):
                tasks.start_soon(login, number)
        assert answers.count(True) == answers.count(False) == 100

    async def test_rest_of_the_app_goes_on(self, configure: Configure, gated: Any) -> None:
        configure(workers=2, max_waiting=200)
        async with anyio.create_task_group() as tasks:
            for _ in range(200):
                tasks.start_soon(gated.verify, "secret", "x")
            for _ in range(2):
                await acquire(gated.begun)
            # All workers are at it, and 198 wait.
            for number in range(50):
                assert await anyio.to_thread.run_sync(abs, number) == number
                await anyio.lowlevel.checkpoint()
            assert waiting() == 198
            assert gated.checked == []
            gated.gate.set()

    async def test_errors_arrive(self, configure: Configure) -> None:
        class Failing(BaseHasher):
            def make_sync(self, secret: str) -> str:
                raise KeyError(secret)

            def verify_sync(self, secret: str, hashed: str | None) -> bool:
                raise LookupError(secret)

        configure(workers=1, max_waiting=1)
        for _ in range(5):
            with pytest.raises(KeyError):
                await Failing().make("secret")
            with pytest.raises(LookupError):
                await Failing().verify("secret", None)
        assert waiting() == 0

    async def test_work_sees_the_context_of_its_caller(self, configure: Configure) -> None:
        variable = contextvars.ContextVar("variable", default="none")

        class Looking(BaseHasher):
            def make_sync(self, secret: str) -> str:
                return variable.get()

            def verify_sync(self, secret: str, hashed: str | None) -> bool:
                return False

        configure(workers=1)
        variable.set("of the caller")
        assert await Looking().make("secret") == "of the caller"


class TestConfiguring:
    async def test_defaults_are_logged_once(
        self,
        configure: Configure,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        caplog.set_level(logging.INFO)
        for cores, queue in ((1, 256), (2, 256), (3, 384), (64, 8192)):
            caplog.clear()
            monkeypatch.setattr(_workers, "_settings", _workers._Settings())
            monkeypatch.setattr(_workers, "usable_cores", lambda cores=cores: cores)
            for _ in range(3):
                await CHEAP.make("secret")
            assert caplog.messages == [
                f"Passwords are hashed by {cores} worker threads; {queue} hashes may wait"
            ]
            _workers._settings.drop_waiting()

    async def test_values_count(
        self, configure: Configure, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        configure(workers=9, max_waiting=9)
        configure(workers=3, max_waiting=0)
        await CHEAP.make("secret")
        assert "3 worker threads; 0 hashes" in caplog.text

    async def test_after_the_first_use(self, configure: Configure) -> None:
        await CHEAP.make("secret")
        with pytest.raises(RuntimeError, match="before the first"):
            configure(workers=1)

    def test_blocking_use_is_none(self, configure: Configure) -> None:
        CHEAP.make_sync("secret")
        configure(workers=1)

    @pytest.mark.parametrize("values", [{"workers": 0}, {"workers": -1}, {"max_waiting": -1}])
    def test_too_small(self, configure: Configure, values: dict[str, int]) -> None:
        with pytest.raises(ValueError, match="at least"):
            configure(**values)

    @pytest.mark.parametrize(
        "values", [{"workers": "2"}, {"workers": 1.5}, {"workers": True}, {"max_waiting": "1"}]
    )
    def test_no_number(self, configure: Configure, values: dict[str, Any]) -> None:
        with pytest.raises(TypeError, match="must be an int"):
            configure(**values)

    def test_arguments_are_keywords(self, configure: Configure) -> None:
        with pytest.raises(TypeError):
            configure(2)


def test_several_loops_and_threads_at_once(configure: Configure) -> None:
    configure(workers=2, max_waiting=500)
    hashed = CHEAP.make_sync("secret")
    answers: list[bool] = []

    async def logins() -> None:
        async def login() -> None:
            answers.append(await CHEAP.verify("secret", hashed))

        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(login)

    def blocking() -> None:
        answers.extend(CHEAP.verify_sync("secret", hashed) for _ in range(20))

    def in_asyncio() -> None:
        asyncio.run(logins())

    def in_trio() -> None:
        trio.run(logins)

    threads = [threading.Thread(target=run) for run in (in_asyncio, in_trio, blocking) * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert answers == [True] * 180


@pytest.mark.parametrize("run", ["asyncio", "trio"])
def test_loop_may_end_before_the_work(configure: Configure, gated: Any, run: str) -> None:
    configure(workers=1, max_waiting=10)

    async def give_up() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(gated.make, "secret")
            await acquire(gated.begun)
            tasks.cancel_scope.cancel()

    anyio.run(give_up, backend=run)
    gated.gate.set()
    assert anyio.run(CHEAP.make, "secret", backend=run)
    assert gated.made == ["secret"]


def test_interpreter_exits_though_work_waits(run_python: Callable[..., str]) -> None:
    code = """
        import asyncio, contextlib, sys, threading
        from starlette_auth_hashers import *

        configure(workers=1, max_waiting=10_000)
        ready = threading.Event()

        class Slow(BaseHasher):
            made = 0

            def make_sync(self, secret):
                ready.set()
                Slow.made += 1
                return PBKDF2Hasher(rounds=100_000).make_sync(secret)

            def verify_sync(self, secret, hashed):
                return False

        async def main():
            await asyncio.gather(
                *(Slow().make("secret") for _ in range(10_000)), return_exceptions=True
            )

        def serve():
            # What becomes of it is nobody's business any more.
            with contextlib.suppress(BaseException):
                asyncio.run(main())

        threading.Thread(target=serve, daemon=sys.argv[1] == "daemon").start()
        ready.wait()
        import atexit
        atexit.register(lambda: print(Slow.made < 1000))
    """
    for kind in ("daemon", "joined"):
        assert run_python(code, kind) == "True"


def test_interpreter_exits_at_once_when_idle(run_python: Callable[..., str]) -> None:
    code = """
        import asyncio
        from starlette_auth_hashers import PBKDF2Hasher

        print(len(asyncio.run(PBKDF2Hasher(rounds=1).make("secret"))))
    """
    assert int(run_python(code)) > 50


def test_unguarded_script_runs_once(run_python: Callable[..., str], tmp_path: Any) -> None:
    # Worker processes would import the script again.
    script = tmp_path / "script.py"
    script.write_text(
        "import asyncio\n"
        "from starlette_auth_hashers import CryptHasher\n"
        "print('begin')\n"
        "asyncio.run(CryptHasher(rounds=1000).make('secret'))\n"
    )
    assert run_python("import runpy, sys; runpy.run_path(sys.argv[1])", str(script)) == "begin"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_forked_child_starts_afresh(run_python: Callable[..., str]) -> None:
    code = """
        import asyncio, os, threading, warnings
        from starlette_auth_hashers import *
        from starlette_auth_hashers import _workers

        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads
        gate, begun = threading.Event(), threading.Event()

        class Gated(BaseHasher):
            def make_sync(self, secret):
                return "x"

            def verify_sync(self, secret, hashed):
                begun.set()
                gate.wait()
                return True

        hasher = CachingHasher(Gated(), ttl=60, max_entries=10)
        configure(workers=1, max_waiting=5)

        async def main():
            # One is at it, and one waits, when the child is made.
            checks = [asyncio.ensure_future(hasher.verify(name, "x")) for name in "ab"]
            await asyncio.to_thread(begun.wait)
            key = hasher._key
            # As if other threads held them.
            _workers._settings.lock.acquire()
            threading.Thread(target=hasher._lock.acquire).start()
            child = os.fork()
            if not child:
                gate.set()
                assert hasher._key != key
                assert waiting() == 0
                configure(workers=2, max_waiting=7)
                # The same that the parent is still computing.
                assert asyncio.new_event_loop().run_until_complete(hasher.verify("a", "x"))
                os._exit(0)
            _workers._settings.lock.release()
            _, status = await asyncio.to_thread(os.waitpid, child, 0)
            assert status == 0
            gate.set()
            print("parent", waiting())
            os._exit(0)

        # The loop of the parent runs on in the child for as long as that is in its own.
        import asyncio.events
        os.register_at_fork(after_in_child=lambda: asyncio.events._set_running_loop(None))
        import sys
        loop = asyncio.new_event_loop()
        try:
            loop.run_until_complete(main())
        finally:
            sys.stdout.flush()
    """
    code = code.replace('print("parent", waiting())', 'print("parent", waiting(), flush=True)')
    assert run_python(code) == "parent 1"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_forked_child_exits(run_python: Callable[..., str]) -> None:
    code = """
        import asyncio, os, sys, warnings
        from starlette_auth_hashers import PBKDF2Hasher, _workers

        warnings.simplefilter("ignore", DeprecationWarning)
        hasher = PBKDF2Hasher(rounds=1)
        asyncio.run(hasher.make("secret"))
        # As if another thread of the parent held it.
        _workers._settings.pool._executor._shutdown_lock.acquire()
        child = os.fork()
        if child:
            _, status = os.waitpid(child, 0)
            _workers._settings.pool._executor._shutdown_lock.release()
            print(status)
        else:
            asyncio.run(hasher.make("secret"))
            sys.exit()
    """
    assert run_python(code) == "0"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_fork_while_another_thread_awaits_the_first_hash(run_python: Callable[..., str]) -> None:
    # anyio imports its half of trio when trio first waits. A child that is forked meanwhile would
    # wait for that import for good.
    code = """
        import os, sys, threading, time, warnings
        from starlette_auth_hashers import PBKDF2Hasher

        assert "anyio._backends._asyncio" in sys.modules

        import trio

        warnings.simplefilter("ignore", DeprecationWarning)
        hasher = PBKDF2Hasher(rounds=1)
        importing, forking = threading.Event(), threading.Event()

        class Slow:
            def find_spec(self, name, path, target=None):
                if name == "anyio._backends._trio":
                    importing.set()
                    forking.wait()
                    time.sleep(0.2)  # The fork is tried meanwhile.

        sys.meta_path.insert(0, Slow())
        thread = threading.Thread(target=trio.run, args=(hasher.make, "secret"))
        thread.start()
        importing.wait()
        forking.set()
        child = os.fork()
        if not child:
            trio.run(hasher.make, "secret")
            os._exit(0)
        thread.join()
        print(os.waitpid(child, 0)[1])
    """
    assert run_python(code, timeout=60) == "0"


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no priority of their own")
class TestPriority:
    CODE = """
        import asyncio, os, sys, threading
        from starlette_auth_hashers import *

        class Looking(BaseHasher):
            def make_sync(self, secret):
                return str(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))

            def verify_sync(self, secret, hashed):
                return False

        async def main():
            workers = {await Looking().make("") for _ in range(10)}
            return workers | {f"app {await asyncio.to_thread(Looking().make_sync, '')}"}

        if os.getuid() == 0:
            os.setgid(65534)
            os.setuid(65534)
        assert os.getuid() != 0
    """

    def test_of_workers_is_lower(self, run_python: Callable[..., str]) -> None:
        code = (
            self.CODE
            + """
        print(sorted(asyncio.run(main())), Looking().make_sync(""))
        """
        )
        nice = os.getpriority(os.PRIO_PROCESS, 0)
        assert run_python(code) == f"['{min(nice + 10, 19)}', 'app {nice}'] {nice}"

    def test_of_a_nice_process_is_lower_still(self, run_python: Callable[..., str]) -> None:
        code = (
            self.CODE
            + """
        os.nice(5)
        print(sorted(asyncio.run(main())))
        """
        )
        nice = os.getpriority(os.PRIO_PROCESS, 0) + 5
        assert run_python(code) == f"['{min(nice + 10, 19)}', 'app {nice}']"

    def test_that_cannot_be_changed_is_no_failure(self, run_python: Callable[..., str]) -> None:
        code = (
            self.CODE
            + """
        def refuse(*args):
            raise PermissionError

        os.setpriority = refuse
        print(sorted(asyncio.run(main())))
        """
        )
        nice = os.getpriority(os.PRIO_PROCESS, 0)
        assert run_python(code) == f"['{nice}', 'app {nice}']"

    async def test_elsewhere_nothing_is_done(
        self, configure: Configure, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "platform", "darwin")
        monkeypatch.delattr(os, "setpriority")
        configure(workers=1)

        assert await CHEAP.make("secret")

    async def test_refusal_in_this_process(
        self, configure: Configure, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: int) -> None:
            raise PermissionError

        monkeypatch.setattr(os, "setpriority", refuse)
        configure(workers=1)

        assert await CHEAP.make("secret")


@pytest.mark.skipif(sys.platform != "linux", reason="measured as Linux counts it")
def test_memory_is_that_of_the_workers(run_python: Callable[..., str]) -> None:
    code = """
        import asyncio, resource
        from starlette_auth_hashers import *

        hasher = Argon2Hasher(memory_cost=32 * 1024, time_cost=1, parallelism=1)
        configure(workers=2)

        def peak():
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

        async def main():
            cheap = Argon2Hasher(memory_cost=8, time_cost=1, parallelism=1)
            hashed = await cheap.make("secret")
            await asyncio.gather(*(cheap.verify("secret", hashed) for _ in range(200)))
            before = peak()
            hashed = await hasher.make("secret")
            answers = await asyncio.gather(*(hasher.verify("secret", hashed) for _ in range(20)))
            assert all(answers)
            print(peak() - before)

        asyncio.run(main())
    """
    # Twenty at once would be 640 MiB.
    assert int(run_python(code)) < 2 * 32 + 30


def test_busy_argon2_is_an_ordinary_hasher(configure: Configure) -> None:
    configure(workers=1, max_waiting=0)
    hasher = Argon2Hasher(memory_cost=8, time_cost=1, parallelism=1)
    assert anyio.run(hasher.make, "secret")
