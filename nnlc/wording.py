"""Numbers of things in sentences that a person reads."""


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Such as "1 network" and "6,000 networks".

    Args:
        number: of things.
        noun: what one of them is called.
        plural: what several are called, where that is not the noun with an s.
    """
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"
