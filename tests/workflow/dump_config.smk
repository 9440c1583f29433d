# Writes the config that the workflow ends up with, for the test of what a config replaces.
import json
import os


include: "../../Snakefile"


Path(os.environ["SEQTRUST_CONFIG_DUMP"]).write_text(json.dumps(config))
