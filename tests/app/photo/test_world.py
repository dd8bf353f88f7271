from photo import world


def test_letters_keep_clear_of_the_pin() -> None:
    size = 20
    for pin in ((5.0, 5.0), (5.0, -5.0), (-5.0, 5.0), (-5.0, -5.0)):
        left, top = (-at for at in world._anchor((0.0, 0.0), pin))
        # On the screen north is up, and the pin is anywhere from the spot towards its corner.
        assert left >= 0 if pin[0] < 0 else left + size <= 0, pin
        assert top >= 0 if pin[1] > 0 else top + size <= 0, pin
