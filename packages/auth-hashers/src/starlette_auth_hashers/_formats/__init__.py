"""The formats of other programs that passlib does not have, or not all of them."""

from collections.abc import Mapping
from types import MappingProxyType

from ._aspnet import AspNetIdentity
from ._django import DjangoScrypt
from ._dovecot import Dovecot
from ._firebase import FirebaseScrypt, from_firebase
from ._flask_bcrypt import FlaskBcrypt
from ._format import Format, Parsed
from ._keycloak import Keycloak, from_keycloak
from ._ldap import LDAP_FORMATS
from ._spring import Spring
from ._werkzeug import Werkzeug
from ._wordpress import WordPress
from ._yescrypt import Yescrypt

__all__ = ["FORMATS", "Format", "Parsed", "build_format", "from_firebase", "from_keycloak"]

#: What `LegacyHasher` takes beside passlib's names, and in their place.
FORMATS: Mapping[str, type[Format]] = MappingProxyType(
    {
        "aspnet_identity": AspNetIdentity,
        "django_scrypt": DjangoScrypt,
        "dovecot": Dovecot,
        "firebase_scrypt": FirebaseScrypt,
        "flask_bcrypt": FlaskBcrypt,
        "keycloak": Keycloak,
        "spring": Spring,
        "werkzeug": Werkzeug,
        "wordpress": WordPress,
        "yescrypt": Yescrypt,
        **LDAP_FORMATS,
    }
)


def build_format(name: str, max_costs: Mapping[str, int]) -> Format:
    """Return the format of a name.

    Raises:
        ImportError: If the package that computes it is missing.
    """
    return FORMATS[name](max_costs)
