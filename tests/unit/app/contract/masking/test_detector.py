from app.contract.masking.detector import Detector


def test_a_row_stands_for_a_word_unless_it_says_otherwise() -> None:
    row = Detector("made up", "", "mu_[a-z]{8}", ("mu_|abcdefgh",), ("mu_1",))
    assert row.alone == "word" and row.check is None and row.hint == ""
