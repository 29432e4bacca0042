"""The programs of the conformance agent: ``serve.py NAME`` reads one line and answers as MCP's suite wants.

It speaks no MCP: JSON on stdin and stdout, and what it says while it runs on stderr.
"""

from __future__ import annotations

import base64
import json
import sys
import time
from collections.abc import Callable
from typing import Any

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
WAV = base64.b64encode(
    b"RIFF\x26\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x80\x3e\x00\x00"
    b"\x02\x00\x10\x00data\x02\x00\x00\x00\x00\x00"
).decode()
Json = dict[str, Any]


def text(words: str) -> Json:
    return {"type": "text", "text": words}


def image() -> Json:
    return {"type": "image", "data": PNG, "mimeType": "image/png"}


def resource(uri: str, words: str, kind: str = "text/plain") -> Json:
    return {"type": "resource", "resource": {"uri": uri, "mimeType": kind, "text": words}}


def say(**words: Any) -> None:
    print(json.dumps(words), file=sys.stderr, flush=True)


def ask(**questions: Json) -> Json:
    say(ask=questions)
    answers: Json = json.loads(sys.stdin.readline())["answers"]
    return answers


def form(message: str, **properties: Json) -> Json:
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return {"method": "elicitation/create", "params": {"message": message, "requestedSchema": schema}}


def sample(words: str, most: int = 100) -> Json:
    message = {"role": "user", "content": text(words)}
    return {"method": "sampling/createMessage", "params": {"messages": [message], "maxTokens": most}}


ROOTS: Json = {"method": "roots/list", "params": {}}
STRING: Json = {"type": "string"}


def told(answer: Json) -> str:
    return f"action={answer.get('action')}, content={json.dumps(answer.get('content', {}))}"


def logging(given: Json) -> Json:
    for words in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        say(log=words, level="info")
        time.sleep(0.05)
    return text("done")


def progress(given: Json) -> Json:
    for step in (0, 50, 100):
        say(progress=step, total=100, message=f"step {step}")
        time.sleep(0.05)
    return text("done")


def sampling(given: Json) -> Json:
    answer = ask(question=sample(given["prompt"]))["question"]
    return text(f"LLM response: {answer['content']['text']}")


def elicitation(given: Json) -> Json:
    described = {"type": "string", "description": "User's response"}
    email = {"type": "string", "description": "User's email address"}
    return text("User response: " + told(ask(q=form(given["message"], username=described, email=email))["q"]))


def defaults(given: Json) -> Json:
    states = {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"}
    question = form(
        "Please review",
        name={"type": "string", "default": "John Doe"},
        age={"type": "integer", "default": 30},
        score={"type": "number", "default": 95.5},
        status=states,
        verified={"type": "boolean", "default": True},
    )
    question["params"]["requestedSchema"]["required"] = []
    return text("Elicitation completed: " + told(ask(q=question)["q"]))


def enums(given: Json) -> Json:
    plain = ["option1", "option2", "option3"]
    titled = [
        {"const": f"value{n}", "title": f"{name} Option"} for n, name in enumerate(("First", "Second"), 1)
    ]
    question = form(
        "Please choose",
        untitledSingle={"type": "string", "enum": plain},
        titledSingle={"type": "string", "oneOf": titled},
        legacyEnum={
            "type": "string",
            "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"],
        },
        untitledMulti={"type": "array", "items": {"type": "string", "enum": plain}},
        titledMulti={"type": "array", "items": {"anyOf": titled}},
    )
    question["params"]["requestedSchema"]["required"] = []
    return text("Elicitation completed: " + told(ask(q=question)["q"]))


def user_name(given: Json) -> Json:
    answer = ask(user_name=form("What is your name?", name=STRING))["user_name"]
    return text(f"Hello, {answer['content']['name']}!")


def capital(given: Json) -> Json:
    answer = ask(capital_question=sample("What is the capital of France?"))["capital_question"]
    return text(answer["content"]["text"])


def roots(given: Json) -> Json:
    return text(json.dumps(ask(client_roots=ROOTS)["client_roots"]))


def confirm(given: Json) -> Json:
    ask(confirm=form("Please confirm", ok={"type": "boolean"}))
    return text("state-ok")


def several(given: Json) -> Json:
    answers = ask(
        user_name=form("What is your name?", name=STRING),
        greeting=sample("Generate a greeting", 50),
        client_roots=ROOTS,
    )
    return text(json.dumps(answers))


def rounds(given: Json) -> Json:
    name = ask(step1=form("Step 1: What is your name?", name=STRING))["step1"]
    colour = ask(step2=form("Step 2: What is your favorite color?", color=STRING))["step2"]
    return text(json.dumps([name, colour]))


def able(given: Json) -> Json:
    questions = {"name": form("What is your name?", name=STRING), "word": sample("Say a word")}
    answers = ask(**questions)
    return text(json.dumps(answers))


def delete(given: Json) -> Json:
    return text(told(ask(confirm=form("Delete it?", confirm={"type": "boolean"}))["confirm"]))


def inputs(given: Json) -> Json:
    one, two = form("One?", name=STRING), form("Two?", name=STRING)
    return text(json.dumps(ask(one=one, two=two)))


def compute(given: Json) -> Json:
    time.sleep(given["seconds"])
    return text(f"{given.get('label', 'it')} is computed")


def failing(given: Json) -> Json:
    time.sleep(1)
    return {"content": [text("The job failed.")], "isError": True}


def protocol_error(given: Json) -> Json:
    print(json.dumps({"error": {"code": -32603, "message": "The job broke."}}))
    sys.exit(1)


def prompt_context(given: Json) -> Json:
    answer = ask(user_context=form("What context should the prompt use?", context=STRING))["user_context"]
    return {"messages": [{"role": "user", "content": text(f"Context: {answer['content']['context']}")}]}


def template(given: Json) -> Json:
    number = given["id"]
    return {"id": number, "templateTest": True, "data": f"Data for ID: {number}"}


PROGRAMS: dict[str, Callable[[Json], Any]] = {
    "audio": lambda given: {"type": "audio", "data": WAV, "mimeType": "audio/wav"},
    "embedded": lambda given: resource("test://embedded-resource", "This is an embedded resource content."),
    "mixed": lambda given: [
        text("Multiple content types test:"),
        image(),
        resource("test://mixed-content-resource", '{"test":"data","value":123}', "application/json"),
    ],
    "logging": logging,
    "progress": progress,
    "sampling": sampling,
    "elicitation": elicitation,
    "defaults": defaults,
    "enums": enums,
    "user_name": user_name,
    "capital": capital,
    "roots": roots,
    "confirm": confirm,
    "several": several,
    "rounds": rounds,
    "able": able,
    "delete": delete,
    "inputs": inputs,
    "compute": compute,
    "failing": failing,
    "protocol_error": protocol_error,
    "prompt_context": prompt_context,
    "template": template,
}


def main() -> None:
    answer = PROGRAMS[sys.argv[1]](json.loads(sys.stdin.readline())["input"])
    if isinstance(answer, dict) and "type" in answer:
        answer = [answer]
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
