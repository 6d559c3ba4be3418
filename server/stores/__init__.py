"""One file per collection or key family. Stores know no rules and raise nothing but StoreUnavailable."""
