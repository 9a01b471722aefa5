"""Dealing groups (wells, plates) out to train, validation and test, spread evenly over an ordered list."""

from typing import Final, Literal, get_args

Role = Literal["test", "train", "validation"]

ROLES: Final[tuple[Role, ...]] = get_args(Role)

UNUSED: Final = "unused"
"""What sites outside every role are called: of plates left out, and under `reference` those not drawn."""


def shares(num_groups: int, test_fraction: float, validation_fraction: float) -> dict[Role, int]:
    """Say how many of `num_groups` go to each role: at least one each where there are three or more."""
    if num_groups < 3:
        return {"test": num_groups - 1, "train": 1, "validation": 0}
    test = max(1, round(num_groups * test_fraction))
    validation = max(1, round(num_groups * validation_fraction))
    return fitted(test, validation, num_groups, min_train=1)


def fitted(test: int, validation: int, num_groups: int, min_train: int) -> dict[Role, int]:
    """Shrink the larger of two held-out shares until `min_train` groups are left for training."""
    while test + validation > num_groups - min_train:
        if test > validation:
            test -= 1
        else:
            validation -= 1
    return {"test": test, "train": num_groups - test - validation, "validation": validation}


def interleaved(share_of: dict[Role, int]) -> list[Role]:
    """Lay out roles so that every stretch of the list holds them in about the proportion of `share_of`."""
    total = sum(share_of.values())
    given: dict[Role, int] = dict.fromkeys(ROLES, 0)
    order: list[Role] = []
    for position in range(1, total + 1):
        role = max(ROLES, key=lambda role: share_of[role] * position - given[role] * total)
        given[role] += 1
        order.append(role)
    return order
