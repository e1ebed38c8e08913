"""A driver's wheel and gamepad, made by the kernel, read through SDL: run with "make test-vm"."""

from collections.abc import Iterator

import evdev
import pytest
from evdev import AbsInfo, ecodes

from acpilot.driving.gamepad import open_gamepad
from acpilot.driving.wheel import Axis, Wheel
from acpilot.errors import AcpilotError
from conftest import wait_for

# As Linux shows a Logitech G29: the pedals' values fall when they are pressed.
G29 = {
    ecodes.EV_KEY: list(range(ecodes.BTN_TRIGGER, ecodes.BTN_TRIGGER + 12)),
    ecodes.EV_ABS: [
        (ecodes.ABS_X, AbsInfo(32767, 0, 65535, 0, 0, 0)),
        (ecodes.ABS_Y, AbsInfo(255, 0, 255, 0, 0, 0)),
        (ecodes.ABS_Z, AbsInfo(255, 0, 255, 0, 0, 0)),
        (ecodes.ABS_RZ, AbsInfo(255, 0, 255, 0, 0, 0)),
    ],
}
AXES = (Axis.parse("0"), Axis.parse("2-"), Axis.parse("3-"))


@pytest.fixture
def device() -> Iterator[evdev.UInput]:
    with evdev.UInput(G29, name="Wheel of the test", vendor=0x1234, product=0x5678) as made:  # type: ignore[arg-type] # its hint lacks axes with their ranges
        yield made


def move(device: evdev.UInput, axis: int, value: int) -> None:
    device.write(ecodes.EV_ABS, axis, value)
    device.syn()


def test_it_reads_what_the_driver_does(device: evdev.UInput) -> None:
    with Wheel(AXES) as wheel:
        assert wheel.name == "Wheel of the test"
        assert wheel.read() == pytest.approx((0, 0, 0), abs=0.001)
        assert not wheel.is_in_use()
        move(device, ecodes.ABS_X, 16384)
        move(device, ecodes.ABS_Z, 0)
        move(device, ecodes.ABS_RZ, 128)
        wait_for(lambda: wheel.read().throttle == 1, "the throttle")
        assert wheel.read() == pytest.approx((-0.5, 1, 0.5), abs=0.01)
        assert wheel.is_in_use()
        assert wheel.is_in_use(), "the pedals still are"
        move(device, ecodes.ABS_Z, 255)
        move(device, ecodes.ABS_RZ, 255)
        wait_for(lambda: not wheel.is_in_use(), "feet beside the pedals")
        move(device, ecodes.ABS_X, 17500)
        wait_for(lambda: wheel.read().steering > -0.48, "the steering")
        assert not wheel.is_in_use(), "that may be a trembling hand"
        move(device, ecodes.ABS_X, 24000)
        wait_for(wheel.is_in_use, "the driver")
        assert not wheel.is_in_use(), "it is held still there"


def test_a_gamepad_needs_no_axes_and_our_own_is_not_taken_for_it() -> None:
    with open_gamepad("xbox", "") as theirs, Wheel() as wheel, open_gamepad("xbox", "") as ours:
        ours.set(1.0, 1.0, 0.0)
        theirs.set(-0.25, 0.0, 0.5)
        wait_for(lambda: wheel.read().brake > 0.4, "the brake")
        assert wheel.read() == pytest.approx((-0.25, 0, 0.5), abs=0.01)


def test_one_that_is_unplugged_is_a_line(device: evdev.UInput) -> None:
    with Wheel(AXES) as wheel:
        device.close()

        def is_gone() -> bool:
            try:
                wheel.read()
            except AcpilotError as fault:
                return "was unplugged" in str(fault)
            return False

        wait_for(is_gone, "its end")


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("axes", [None, (*AXES[:2], Axis(0, 9))])
def test_axes_that_are_not_known_are_asked_for(axes: tuple[Axis, Axis, Axis] | None) -> None:
    with pytest.raises(AcpilotError, match=r"They stand at 0: [+-]0.00, 1: \+1.00, 2: \+1.00, 3: \+1.00"):
        Wheel(axes)


def test_without_a_wheel_there_is_one_line() -> None:
    with pytest.raises(AcpilotError, match="there is no wheel or gamepad"):
        Wheel()
