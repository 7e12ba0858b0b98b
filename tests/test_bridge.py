"""Two interpreters that call each other's functions, and what one may not do to the other."""

import copy
import random
import subprocess
import sys
import textwrap
from multiprocessing.connection import Listener

import numpy as np
import pytest
import torch
from torch import nn

from coursekit.bridge import BridgeError, Peer
from coursekit.examiner import Examiner
from coursekit.plainfiles import MOST_FILES
from coursekit.standins import Remote

STUDENT = """
import numpy as np
import random
import torch
from torch import nn

number, text, table = 3, "ä", {"a": [1, (2.5, None)], 2: {True}}

def kl(mu, logvar): return (mu**2 + logvar.exp() - 1 - logvar).sum(1) / 2
def changes(x): x += 1; return x
def same(x): return x
def echo(*values): return values
def draw(mu, generator=None): return mu + torch.randn(mu.shape, generator=generator, dtype=mu.dtype)
def draws_elsewhere(): return random.random(), np.random.rand()
def seeds(): torch.manual_seed(0)
def asks_for_gradient(x): x.requires_grad_()
def boom(): raise ValueError("no such thing")
def leaves(): raise SystemExit(3)
def odd():
    class Unknown(LookupError): pass
    raise Unknown("odd")
def wild(): return object()
def apply(f, *values): return f(*values)
def slope(f, x):
    x = x.detach().clone().requires_grad_()
    f(x).sum().backward()
    return x.grad
def slopes_of_rows(f, x): return torch.func.vmap(torch.func.grad(lambda row: f(row[None])[0]))(x)
def inner_slope(f, x):
    z = 2 * x
    return torch.autograd.grad(f(z).sum(), z)[0]
def step(model, optimizer, x):
    model.train()
    loss = (model(x) - x).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()
def copies(model): return copy_of(model)
def copy_of(model):
    import copy
    return copy.deepcopy(model)
def deep(f, n): return f(n)
def peeks(f, name): return getattr(f, name)
def pokes(thing, name, value): setattr(thing, name, value)
def writes(name, text):
    import pathlib
    pathlib.Path(name).parent.mkdir(parents=True, exist_ok=True)
    pathlib.Path(name).write_text(text)
def nan(): return torch.tensor([float("nan"), 1.0])
def cuts(x): return x.detach()
def part(x): return x[:, 1]
def changes_the_result(f):
    z = torch.zeros(2, 2)
    values = f(z)
    values += 5
    return z
def pair(x): return x.sum(), (2 * x).detach(), x
def no_grad_stays(): torch.set_grad_enabled(False)

class Encoder(nn.Module):
    def __init__(self, pixels, latent):
        super().__init__()
        self.latent_dim = latent
        self.body = nn.Sequential(nn.Linear(pixels, 5), nn.BatchNorm1d(5), nn.Tanh())
        self.out = nn.Linear(5, 2 * latent)
    def forward(self, x):
        return self.out(self.body(x)).chunk(2, dim=1)
    def decode(self, z): return z + 1

class Outer(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = Encoder(4, 2)
    def forward(self, x): return self.inner(x)
"""


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bridge")
    (folder / "student.py").write_text(STUDENT, "utf-8")
    address = str(folder / "socket")
    code = f"""
        names = {{"__name__": "student"}}
        exec(open({str(folder / "student.py")!r}, encoding="utf-8").read(), names)
        from coursekit.bridge import attach
        attach({address!r}, "00" * 8, names)
    """
    with Listener(address, authkey=bytes(8)) as listener:
        (folder / "work").mkdir()
        process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], cwd=folder / "work")
        yield Peer(listener.accept())
        process.kill()
        process.wait()


@pytest.fixture
def student(session):
    class Names:
        def __getattr__(self, name):
            return session.ask("lookup", name)

    torch.set_grad_enabled(True)
    return Names()


def double(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def test_plain_data_crosses_as_it_is(student):
    assert (student.number, student.text) == (3, "ä")
    assert student.table == {"a": [1, (2.5, None)], 2: {True}}
    values = (True, -(2**70), 1e-300, float("inf"), "\x00", b"".decode(), None, ..., slice(1, None, 2), torch.float16)
    assert student.echo(*values) == values
    assert student.echo(torch.Size([2, 3])) == (torch.Size([2, 3]),)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.int64, torch.uint8, torch.bool])
def test_tensors_cross_bit_by_bit(student, dtype):
    for shape in ((), (0,), (3,), (2, 0, 4), (2, 3)):
        t = (10 * torch.randn(shape)).to(dtype)
        (back,) = student.echo(t.clone())
        assert back.dtype == dtype
        assert torch.equal(back, t)


def test_arrays_cross_as_arrays(student):
    array, scalar = student.echo(np.arange(3.0), np.float32(2.5))
    assert isinstance(array, np.ndarray)
    assert array.tolist() == [0, 1, 2]
    assert type(scalar) is np.float32


def test_what_cannot_cross_stays_and_is_named(student):
    assert type(student.wild()).__name__ == "object"
    assert isinstance(student.wild(), Remote)


def test_a_changed_argument_is_changed_here_too(student):
    x = torch.zeros(3)
    assert student.changes(x) is x
    assert x.tolist() == [1, 1, 1]
    assert not torch.is_tensor(student.asks_for_gradient(x))
    assert x.requires_grad


def test_an_argument_that_comes_back_is_the_same_object(student):
    for x in (torch.rand(2), torch.rand(2, requires_grad=True), 2 * torch.rand(2, requires_grad=True)):
        assert student.same(x) is x


def test_a_view_of_an_argument_is_one_here_too(student):
    x = torch.zeros(3, 2)
    student.part(x).add_(1)
    assert x.tolist() == [[0, 1], [0, 1], [0, 1]]
    y = torch.zeros(2, 3).T  # laid out in another way: a copy comes back
    assert student.part(y).tolist() == [0, 0, 0]
    seen = student.changes_the_result(lambda z: z[:, 0])
    assert seen.tolist() == [[5, 0], [5, 0]]


def test_gradients_flow_through(student):
    mu, logvar = (double(4, 3).requires_grad_() for _ in range(2))
    assert torch.autograd.gradcheck(student.kl, (mu, logvar))
    student.kl(2 * mu, logvar).sum().backward()
    assert torch.allclose(mu.grad, 4 * mu)
    assert not student.cuts(mu).requires_grad
    total, cut, same = student.pair(mu)
    assert total.requires_grad
    assert not cut.requires_grad
    assert same is mu


def test_gradients_flow_through_what_a_test_hands_over(student):
    a, x = double(3), double(5, 3)
    seen = []

    def f(z):
        seen.append(z)
        return (z @ a).sin()

    want = (x @ a).cos()[:, None] * a
    assert torch.allclose(student.slope(f, x), want)
    assert torch.allclose(student.slopes_of_rows(f, x), want)
    leaf = x.clone().requires_grad_()
    assert torch.allclose(student.inner_slope(f, leaf), (2 * x @ a).cos()[:, None] * a)
    student.apply(f, student.same(2 * leaf))
    assert seen[-1].requires_grad
    seen[-1].sum().backward()
    assert torch.allclose(leaf.grad, torch.full_like(leaf, 2.0))


def test_generators_move_on_in_both_places(student):
    mine, theirs = (torch.Generator().manual_seed(3) for _ in range(2))
    mu = double(4)
    for _ in range(2):
        want = mu + torch.randn(4, generator=mine, dtype=mu.dtype)
        assert torch.equal(student.draw(mu, theirs), want)
    assert torch.equal(mine.get_state(), theirs.get_state())


def test_global_randomness_is_shared(student):
    torch.manual_seed(5)
    want = torch.randn(4, dtype=torch.float64)
    torch.manual_seed(5)
    assert torch.equal(student.draw(torch.zeros(4, dtype=torch.float64)), want)
    mu, generator = double(2), torch.Generator()
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[2]  # noqa: NPY002
    student.draw(mu, generator)
    assert torch.equal(before[0], torch.get_rng_state())
    student.draws_elsewhere()
    assert random.getstate() != before[1]
    assert np.random.get_state()[2] != before[2]  # noqa: NPY002
    torch.manual_seed(7)
    student.seeds()
    assert torch.initial_seed() == 0


def test_gradient_mode_is_shared(student):
    x = torch.rand(3, requires_grad=True)
    with torch.no_grad():
        assert not student.kl(x[None], x[None]).requires_grad
    student.no_grad_stays()
    assert not torch.is_grad_enabled()
    torch.set_grad_enabled(True)


def test_errors_cross_with_their_kind_and_words(student):
    with pytest.raises(ValueError, match="no such thing"):
        student.boom()
    with pytest.raises(LookupError, match="odd") as caught:
        student.odd()
    assert caught.type.__name__ == "Unknown"
    with pytest.raises(RuntimeError, match="SystemExit"):
        student.leaves()

    def refuses(z):
        raise AssertionError("hand me a batch")

    with pytest.raises(AssertionError, match="hand me a batch"):
        student.apply(refuses, torch.rand(2))
    with pytest.raises(KeyError):
        student.nothing_of_the_kind()


def test_a_students_module_is_a_module_here(student):
    encoder = student.Encoder(6, 2)
    assert isinstance(encoder, nn.Module)
    assert type(encoder).__name__ == "Encoder"
    assert encoder.latent_dim == 2
    assert {name for name, _ in encoder.named_parameters()} >= {"body.0.weight", "out.bias"}
    encoder = encoder.double()
    with torch.no_grad():
        for p in encoder.parameters():
            p.fill_(0.25)
    x = double(7, 6).requires_grad_()
    mu, _ = encoder(x)
    assert encoder.state_dict()["body.1.running_mean"].abs().sum() > 0
    encoder.eval()
    assert not encoder.training
    assert not encoder.body[1].training
    assert [type(layer).__name__ for layer in encoder.body] == ["Linear", "BatchNorm1d", "Tanh"]
    assert len(encoder.body) == 3
    mu, logvar = encoder(x)
    grads = torch.autograd.grad(mu.sum() + logvar.sum(), [x, *encoder.parameters()])
    assert all(g is not None for g in grads)
    twin = copy.deepcopy(encoder)
    with torch.no_grad():
        twin.out.bias.zero_()
    assert not torch.allclose(twin(x)[0], mu)
    assert torch.allclose(encoder(x)[0], mu)
    assert torch.equal(encoder.decode(torch.ones(2)), torch.full((2,), 2.0))


def test_a_test_can_put_its_own_parts_into_a_students_module(student):
    class Given(nn.Module):
        def forward(self, x):
            return 3 * x

    outer = student.Outer()
    outer.inner = Given()
    assert isinstance(outer.inner, Given)
    assert torch.equal(outer(torch.ones(2)), torch.full((2,), 3.0))
    outer.eval()
    assert not outer.inner.training


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam])
def test_a_student_trains_a_tests_module(student, kind):
    model = nn.Sequential(nn.Linear(4, 4), nn.Tanh())
    twin, x = copy.deepcopy(model), torch.rand(3, 4)
    for each, train in ((model, student.step), (twin, None)):
        optimizer = kind(each.parameters(), lr=0.1)
        for _ in range(3):
            if train is not None:
                train(each, optimizer, x)
                continue
            loss = (each(x) - x).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    for mine, theirs in zip(twin.parameters(), model.parameters(), strict=True):
        assert torch.allclose(mine, theirs, atol=1e-6)
    again = student.copies(model)
    assert torch.equal(again[0].weight, model[0].weight)


def test_a_student_may_pin_notes_on_what_a_test_hands_over(student):
    model = nn.Linear(2, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for thing in (model, optimizer):
        with pytest.raises(AttributeError):
            student.peeks(thing, "steps")
        student.pokes(thing, "steps", 1)
        student.pokes(thing, "steps", 2)
        assert student.peeks(thing, "steps") == thing.steps == 2
        for name, value in (("_steps", 1), ("other", [1]), ("state_dict", 1), ("__class__", 1)):
            with pytest.raises(AttributeError):
                student.pokes(thing, name, value)
    with pytest.raises(AttributeError):
        student.pokes(model, "weight", 1.0)
    with pytest.raises(AttributeError):
        student.pokes(optimizer, "param_groups", 1.0)


def test_plain_files_cross_when_they_are_new_or_changed(session, student):
    for name in ("a.csv", "deep/er/b.txt", "module.py", "copy.ipynb", ".hidden", ".git/config", "odd\nname"):
        student.writes(name, "1")
    changed, gone = session.ask("files", {})
    assert {name: content.tobytes() for name, _, content in changed} == {"a.csv": b"1", "deep/er/b.txt": b"1"}
    assert gone == []
    known = {name: state for name, state, _ in changed}
    assert session.ask("files", known) == ([], [])
    student.writes("a.csv", "longer")
    changed, gone = session.ask("files", {**known, "c.txt": [1, 1]})
    assert [(name, content.tobytes()) for name, _, content in changed] == [("a.csv", b"longer")]
    assert gone == ["c.txt"]


def test_the_examiner_writes_no_file_outside_its_folder(tmp_path, monkeypatch):
    class Liar:
        def __init__(self, *names):
            self.names = names

        def ask(self, op, known):
            return [[name, [1, 1], np.zeros(1, np.uint8)] for name in self.names], []

    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    for name in ("../out", "/tmp/out", "a/../../out", ".profile", "a/.b", "", "a//b", "x" * 200, "a\0b", 3, None):
        examiner = Examiner(None)
        examiner.names.peer = Liar(name)
        with pytest.raises(BridgeError, match="files cannot be copied"):
            examiner._fetch_files()
    examiner.names.peer = Liar(*(f"file{i}" for i in range(MOST_FILES + 1)))
    with pytest.raises(BridgeError, match="files cannot be copied"):
        examiner._fetch_files()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["work"]


def test_nan_is_no_change(student):
    x = torch.tensor([float("nan"), 0.0])
    assert student.same(x) is x
    assert student.nan().isnan().tolist() == [True, False]


def test_two_sides_do_not_call_each_other_for_ever(student):
    def again(n):
        return student.deep(again, n + 1)

    with pytest.raises(RecursionError):
        student.deep(again, 0)


def test_a_student_reaches_nothing_of_a_test_but_what_it_hands_over(session, student):
    def f(z):
        return z

    class Watcher(nn.Module):
        secret = f

        def __init__(self):
            super().__init__()
            self.codes, self.source = [1.0], torch.Generator()

        def forward(self, x):
            return x

    for name in ("__globals__", "__code__", "__closure__", "__defaults__"):
        with pytest.raises(AttributeError):
            student.peeks(f, name)
    watcher = Watcher()
    assert student.peeks(watcher, "codes") == [1.0]
    for name in ("source", "no_such_thing"):
        with pytest.raises(AttributeError):
            student.peeks(watcher, name)
    # The stand-in itself would answer these, so a student's code would have to ask past it.
    for name in ("register_forward_hook", "load_state_dict", "_forward_hooks", "__class__", "apply"):
        with pytest.raises(AttributeError):
            session._op_get(watcher, name)
    with pytest.raises(AttributeError):
        student.pokes(watcher, "codes", [2.0])
    assert watcher.codes == [1.0]


def test_what_is_let_go_of_here_is_let_go_of_there(session, student):
    for _ in range(20):
        x = double(3, 2).requires_grad_()
        student.kl(x, x).sum().backward()
    del x
    student.same(1)
    assert len(session.records) == 0
    assert len([m for m in session.mirrors.values() if m.tensor is not None]) < 40


def talk(answers: list[bytes], tmp_path, act):
    """Let a peer of ours do something while the other end sends bytes of its own choice."""
    address = str(tmp_path / "socket")
    code = f"""
        from multiprocessing.connection import Client
        with Client({address!r}, authkey=bytes(8)) as connection:
            for answer in {answers!r}:
                connection.recv_bytes()
                connection.send_bytes(answer)
    """
    with Listener(address, authkey=bytes(8)) as listener:
        process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)])
        try:
            return act(Peer(listener.accept()))
        finally:
            process.kill()
            process.wait()


def framed(text: str) -> bytes:
    return len(text.encode()).to_bytes(8, "little") + text.encode()


REST = '"changed":[],"records":null,"mirrors":[],"globals":{},"released":[],"tensors":[]'


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\xff" * 100,
        framed("[]"),
        framed("{}"),
        framed("[" * 100_000),
        framed('{"value": null, "tensors": [["torch.float32", 1000000000000]]}'),
        framed('{"value": null, "tensors": [["os.system", 1]]}'),
        framed('{"value": {"result": [0, null]}, ' + REST + "}"),
        framed('{"value": {"yours": 99}, ' + REST + "}"),
        framed('{"value": {"mirror": [false, 99, true, null, null]}, ' + REST + "}"),
        framed('{"value": {"what": 1}, ' + REST + "}"),
        framed('{"value": {"object": {"number": "x"}}, ' + REST + "}"),
        framed('{"op": "lookup", "operands": {"tuple": ["__builtins__"]}, ' + REST + "}"),
        framed('{"op": "backward", "operands": {"tuple": [1, {"list": []}]}, ' + REST + "}"),
        framed('{"op": "__init__", "operands": {"tuple": []}, ' + REST + "}"),
    ],
)
def test_nonsense_from_the_other_side_is_an_error_and_nothing_else(answer, tmp_path):
    with pytest.raises((BridgeError, LookupError, ValueError, TypeError, AttributeError)):
        talk([answer], tmp_path, lambda peer: peer.ask("names"))
