"""A service desk: one model routes a message, another reads it or calls a function, the shop's tables answer.

    python docs/examples/service_desk.py --endpoint http://127.0.0.1:8000/v1 "698181323714346491 到哪了"

An endpoint serves each scenario's model under the scenario's name, as a release's `vllm.sh` does. Without one they run
here: `--base FOLDER --model intent_routing=FOLDER --model address_extraction=FOLDER --model ticket_tools=FOLDER`.
"""

import argparse
import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from cs_assets.catalogue import arrival_after, city_of, days_on_road
from cs_assets.families.tool_call.answer import native_messages, read_answer
from cs_assets.families.tools import execute, offer, read_tools
from cs_assets.reference import reference_table
from cs_assets.scenario import load_scenario

# Returns what the model of a scenario answers to chat messages, in at most so many tokens.
Model = Callable[[str, list[dict[str, str]], int], str]

SCENARIOS: Final = ("intent_routing", "address_extraction", "ticket_tools")
HAND_OVER: Final = "这个我帮您转人工客服，请稍等。"
NOT_FOUND: Final = "没有查到，麻烦您核对一下号码。"
# Class of a message -> the functions that may help, and what is said of their results.
FUNCTIONS: Final = {
    "查物流": ("OrderStatus", "TicketQuery"),
    "催发货": ("OrderStatus", "TicketQuery"),
    "报修": ("SearchSolution", "TicketCreate", "TicketQuery"),
}
SAID: Final = {
    "OrderStatus": "订单{order_id}现在是{status}。",
    "TicketQuery": "工单{ticket_id}（{product}{problem}）{status}，上门时间{serve_time}。",
    "SearchSolution": "{problem}可以先这样试试：{steps}。",
    "TicketCreate": "工单{ticket_id}已提交，{status}，我们会尽快安排师傅。",
}


def at_endpoint(url: str, names: Mapping[str, str]) -> Model:
    """Return models that are served at a URL, each under its scenario's name or the one given for it."""
    import openai

    client = openai.OpenAI(base_url=url, api_key=os.environ.get("CS_ENDPOINT_KEY") or "none")

    def model(name: str, messages: Any, limit: int) -> str:
        served = names.get(name, name)
        answer = client.chat.completions.create(model=served, messages=messages, max_tokens=limit, temperature=0)
        return answer.choices[0].message.content or ""

    return model


def from_folders(base: str, folders: Mapping[str, str]) -> Model:
    """Return models that run here: a base with the adapter of each scenario."""
    from cs_assets.learning.inference import generate
    from cs_assets.learning.models import load_causal_lm, load_tokenizer

    tokenizer = load_tokenizer(base)
    models = {name: load_causal_lm(base, folder) for name, folder in folders.items()}
    return lambda name, messages, limit: generate(
        models[name], tokenizer, [messages], max_new_tokens=limit, batch_size=1
    )[0]


def ask(model: Model, name: str, message: str, tools: str = "") -> str:
    """Return what a scenario's model says of a message, with the functions on offer, if any; and show it."""
    scenario = load_scenario(name)
    said = model(name, scenario.prompt(message, tools), scenario.spec.answer_tokens)
    print(f"  {name:<20} {said}")
    return said


def change_address(model: Model, message: str) -> str:
    """Read the new address, and look up how long a parcel takes from the nearest warehouse."""
    new = json.loads(ask(model, "address_extraction", message))
    city = city_of(new["市"])
    if not city:
        return HAND_OVER
    days, warehouse = min((days_on_road(start, city), start) for start in reference_table("stock").columns[1:])
    arrival = arrival_after(days)
    print(f"  {'table':<20} {warehouse} -> {city}: {days} days, {arrival.hour}:00")
    when = f"{f'{arrival.day}天后' if arrival.day else '今天'}{arrival.hour}点前"
    place = "".join(new[part] for part in ("省", "市", "县", "详细地址"))
    receiver = " ".join(part for part in (new["姓名"], new["电话"], place) if part)
    return f"收货信息改成：{receiver}。现在发货的话，{when}送到。"


def call_functions(model: Model, message: str, names: Sequence[str]) -> str:
    """Let the model choose among some functions, run them on the shop's tables, and say what came out."""
    known = read_tools((load_scenario("ticket_tools").folder / "tools.json").read_text(encoding="utf-8"), "tools.json")
    tools = {name: known[name] for name in names}
    answer = read_answer(ask(model, "ticket_tools", message, offer(tools.values())))
    if answer is None:
        return HAND_OVER
    results = [(call.name, execute(call, tools)) for call in answer.calls]
    for name, result in results:
        print(f"  {'table':<20} {name}: {json.dumps(result, ensure_ascii=False)}")
    said = [NOT_FOUND if "error" in result else SAID[name].format(**result) for name, result in results]
    return "".join([*said, native_messages(answer, tools)[0]["content"]])  # what is to be asked, or that nothing fits


def reply(model: Model, message: str) -> str:
    """Return what the shop says. A person does what is left, also where a model answers in a form of its own."""
    try:
        intent = json.loads(ask(model, "intent_routing", message))["intent"]
        if intent == "改地址":
            return change_address(model, message)
        return call_functions(model, message, FUNCTIONS[intent]) if intent in FUNCTIONS else HAND_OVER
    except (ValueError, KeyError, TypeError):
        return HAND_OVER


def main() -> None:
    """Answer the messages of the command line, and show how."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("messages", nargs="+")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--endpoint", help="base URL of an OpenAI-compatible endpoint")
    where.add_argument("--base", help="folder of the base model, to run the models here")
    parser.add_argument("--model", action="append", default=[], metavar="SCENARIO=NAME_OR_FOLDER")
    options = parser.parse_args()
    given = dict(model.partition("=")[::2] for model in options.model)
    if wrong := [name for name, model in given.items() if name not in SCENARIOS or not model]:
        parser.error(f"--model {wrong[0]}: give SCENARIO=NAME_OR_FOLDER, with one of {', '.join(SCENARIOS)}")
    if options.base and (missing := [name for name in SCENARIOS if not given.get(name)]):
        parser.error(f"--base: the folder of {', '.join(missing)} is missing; give --model SCENARIO=FOLDER for each")
    model = at_endpoint(options.endpoint, given) if options.endpoint else from_folders(options.base, given)
    for message in options.messages:
        print(f"客户：{message}")
        print(f"客服：{reply(model, message)}\n")


if __name__ == "__main__":
    main()
