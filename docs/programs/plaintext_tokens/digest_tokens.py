import hashlib
import sqlite3

database = sqlite3.connect("app.db")
database.create_function("sha256", 1, lambda token: hashlib.sha256(token.encode()).hexdigest())
database.executescript("""
BEGIN;
ALTER TABLE tokens RENAME COLUMN token TO digest;
UPDATE tokens SET digest = sha256(digest);
CREATE UNIQUE INDEX tokens_digest ON tokens (digest);
ALTER TABLE tokens ADD scopes TEXT;
ALTER TABLE tokens ADD created_at DATETIME NOT NULL DEFAULT '1970-01-01 00:00:00.000000';
ALTER TABLE tokens ADD expires_at DATETIME;
ALTER TABLE tokens ADD last_used_at DATETIME;
ALTER TABLE tokens ADD name TEXT;
COMMIT;
""")
database.close()
