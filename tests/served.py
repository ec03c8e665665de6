"""Scripts are processes, and the commands of dfal that they call are carried out in this process.

So a script takes as long as its work, and not as long as its commands take to start.
"""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

from tests.conftest import Ended, dfal, write

CLIENT = """
import json, os, socket, sys
os.chdir(os.path.dirname(__file__))  # the path of a socket must be short
with socket.socket(socket.AF_UNIX) as server:
    server.connect("socket")
    with server.makefile("rw") as stream:
        print(json.dumps(sys.argv[1:]), file=stream, flush=True)
        code, stdout, stderr = json.loads(stream.readline())
sys.stdout.write(stdout)
sys.stderr.write(stderr)
sys.exit(code)
"""
"""What the script takes for dfal."""


def run_script(*command: object, **settings: str) -> Ended:
    """Run a script in the working directory, with these environment variables; its `dfal` is this process."""
    folder = write(Path(".dfal/client.py"), CLIENT).absolute().parent
    program = write(folder / "dfal", "#!/bin/sh", f'exec "{sys.executable}" -S "{folder}/client.py" "$@"')
    program.chmod(0o755)
    path = f"{folder}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = os.environ | {"PATH": path} | settings
    with socket.socket(socket.AF_UNIX) as server:
        (folder / "socket").unlink(missing_ok=True)
        server.bind(".dfal/socket")
        server.listen()
        server.settimeout(0.05)
        with subprocess.Popen(
            list(map(str, command)), env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as script:
            while script.poll() is None:
                _serve(server)
            stdout, stderr = script.communicate()
    return Ended(script.returncode, stdout, stderr)


def _serve(server: socket.socket) -> None:
    """Carry out a command, if one is asked for soon."""
    try:
        connection, _ = server.accept()
    except TimeoutError:
        return
    with connection, connection.makefile("rw") as stream:
        ended = dfal(*json.loads(stream.readline()))
        print(json.dumps([ended.code, ended.stdout, ended.stderr]), file=stream, flush=True)
