"""What is kept of each account: the names of its events, each with what it means."""

EVENTS = {
    "user.registered": "an account was made",
    "session.opened": "somebody signed in; `way` is register, password or code",
    "session.refused": "somebody did not get in; `why` is the code of the refusal",
    "session.reused": "a refresh token came back that had been used before, so its session was ended",
    "session.ended": "one session was ended; `why` is logout or ended",
    "sessions.ended": "all sessions but the one that asked were ended",
    "password.changed": "the password was changed by its holder",
    "password.reset": "the password was set anew by the code of an SMS",
    "password.upgraded": "the hash of the password was made anew, with today's cost and pepper",
    "mobile.changed": "the account moved to another number; `old` is the masked one before",
    "profile.changed": "the profile was changed; `fields` names what was sent",
    "account.disabled": "an operator closed the account",
    "account.enabled": "an operator opened it again",
    "account.deleted": "its holder deleted the account",
}
