"""app/contract/masking/forms.py: a form keeps all that is not masked as it came."""

import pytest

from app.contract.masking.fields import SensitiveNames
from app.contract.masking.opening import Opening
from app.contract.rules import Sensitive

NAMES = SensitiveNames(
    [
        Sensitive("any", "lic", "mask"),
        Sensitive("body", "user.id", "drop"),
        Sensitive("body", "kept", "keep"),
    ]
)


@pytest.mark.parametrize(
    ("form", "left"),
    [
        ("a=%41+b&lic=x&c", "a=%41+b&lic=***&c"),
        ("user[lic]=x&lic[]=y&b=1", "user[lic]=***&lic[]=***&b=1"),
        ("user%5Blic%5D=x&b=1", "user%5Blic%5D=***&b=1"),
        ('data=%7B%22lic%22%3A%22x%22%2C%22n%22%3A1.10%7D&b=1',
         'data=%7B%22lic%22%3A%22***%22%2C%22n%22%3A1.10%7D&b=1'),
        ("kept=lic%3Dx&license_count=1&password_policy=a", ""),
        ('{"lic":"a=b&c"', '{"lic":"***"'),
    ],
)  # fmt: skip
def test_a_form(form: str, left: str) -> None:
    assert Opening(NAMES, None).form(form.encode()).decode() == (left or form)
