"""Variable: how it is made, assigned and moved, and what was kept of it before."""

import collections

import numpy as np
import pytest

import minigrad
from minigrad import ops
from minigrad.tensor import Structure, Tensor, Variable


def test_variable():
    v = Variable([[1.0, 2.0]], name="kernel")
    assert v.requires_grad and v.trainable and v.name == v.path == "kernel" and v.dtype == "float32"
    (v * v).backward([[1.0, 1.0]])
    assert v.grad.tolist() == [[2, 4]]
    assert (
        isinstance(v.value, Tensor)
        and not v.value.requires_grad
        and np.shares_memory(v.value.numpy(), v._data)
    )
    assert not np.shares_memory(v.numpy(), v._data)


def test_variable_from_an_initializer():
    calls = collections.Counter()

    def initializer(shape, dtype):
        calls[shape, dtype] += 1
        return np.full(shape, 2.0, dtype)

    assert Variable(initializer, shape=[2, 3], dtype="float64").numpy().tolist() == [[2, 2, 2], [2, 2, 2]]
    assert Variable(initializer, (1,)).dtype == "float32"
    assert calls == {((2, 3), "float64"): 1, ((1,), "float32"): 1}


def test_a_counter_is_never_trained():
    count = Variable(0, dtype="int64", name="iteration")
    assert count.dtype == "int64" and not count.trainable
    count.trainable = True
    assert not count.trainable
    count.assign(3)
    assert int(count) == 3


def test_trainable_switches_the_gradient_and_is_noticed():
    v = Variable([1.0])
    version = Structure.version
    v.trainable = False
    assert Structure.version > version and not (v * 2.0).requires_grad
    v.trainable = True
    assert (v * 2.0).requires_grad


@pytest.mark.parametrize("value", [
    [[3, 4]], ((3.0, 4.0),), np.array([[3.0, 4.0]]), np.array([[3], [4]]).T, np.array([[3, 4]], "int8"),
    Tensor([[3.0, 4.0]]), Tensor(np.array([[3.0, 4.0]])), Variable([[3.0, 4.0]]),
    Variable([[3, 4]], dtype="int64"),
])  # fmt: skip
def test_assign_moves_values_not_memory(value):
    v = Variable([[1.0, 2.0]])
    memory = v._data
    assert v.assign(value) is v
    assert v._data is memory and v.numpy().tolist() == [[3, 4]] and v.dtype == "float32"
    value_before = np.array(value)
    v.assign_add([[10, 20]])
    v.assign_sub(Tensor([[1.0, 1.0]]))
    v.assign(v * 2.0)
    assert v._data is memory and v.numpy().tolist() == [[24, 46]]
    np.testing.assert_array_equal(np.array(value), value_before)


@pytest.mark.parametrize(
    "value", [[1.0, 2.0], 1.0, np.ones((2, 1)), np.ones((1, 3)), Tensor(np.ones((1, 2, 1)))]
)
def test_assign_never_broadcasts(value):
    v = Variable([[1.0, 2.0]], name="kernel")
    with pytest.raises(ValueError, match=r"'kernel' has shape \(1, 2\)"):
        v.assign(value)
    assert v.numpy().tolist() == [[1, 2]]


def test_a_variable_moved_into_a_flat_buffer_keeps_its_values():
    weights, gradients = np.zeros(6, "f4"), np.full(6, 9.0, "f4")
    v = Variable([[1.0, 2.0]])
    version = Structure.version
    v.move_to(weights[2:4].reshape(1, 2), gradients[2:4].reshape(1, 2))
    assert weights.tolist() == [0, 0, 1, 2, 0, 0] and Structure.version > version
    for _ in range(2):  # the second gradient is written over the first, after a reset
        v.grad = None
        (v * v).backward([[1.0, 1.0]])
        assert gradients.tolist() == [9, 9, 2, 4, 9, 9]
    v.assign([[5.0, 6.0]])
    assert weights.tolist() == [0, 0, 5, 6, 0, 0]


KEPT = {
    "cast": lambda v: ops.cast(v, "float32"),
    "convert_to_tensor": ops.convert_to_tensor,
    "expand_dims": lambda v: ops.expand_dims(v, 0),
    "squeeze": ops.squeeze,
    "reshape": lambda v: v.reshape(3, 1),
    "ravel": ops.ravel,
    "stop_gradient": ops.stop_gradient,
    "broadcast_to": lambda v: ops.broadcast_to(v, (3,)),
    "transpose": lambda v: v.T,
    "swapaxes": lambda v: ops.swapaxes(v, 0, 0),
}


@pytest.mark.parametrize("name", KEPT)
def test_silent_what_was_kept_of_a_variable_does_not_follow_it(name):
    v, y = Variable(np.zeros(3, "float32")), Variable(np.zeros(3, "float32"))

    def step():
        kept = KEPT[name](v)
        v.assign_add(np.ones(3, "float32"))
        y.assign(kept.reshape(3))

    minigrad.Program(step).replay(4)
    step()
    assert v.numpy().tolist() == [5.0] * 3 and y.numpy().tolist() == [4.0] * 3
    if name != "stop_gradient":
        (KEPT[name](v) * 2.0).sum().backward()
        assert v.grad.tolist() == [2.0] * 3


def test_silent_a_tensor_made_from_an_array_does_not_follow_it():
    array = np.ones(3, "float32")
    kept = ops.convert_to_tensor(array)
    array[...] = 5.0
    assert kept.numpy().tolist() == [1.0] * 3
