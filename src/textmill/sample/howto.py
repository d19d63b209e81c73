"""Instructions: how to clean, pack, mend or cook something, step by step, with quantities."""

# Rules and words are data, one entry a line.
# ruff: noqa: E501

from __future__ import annotations

from textmill.sample.draw import Draw
from textmill.sample.grammar import Mention, Told
from textmill.sample.tongue import Tongue
from textmill.sample.world import KINDS

ENGLISH: dict[str, str | tuple[str, ...]] = {
    "food": ("soup", "stew", "pancakes", "dumplings", "noodles", "bread", "salad", "porridge"),
    "stuff": ("flour", "rice", "carrots", "onions", "mushrooms", "beans", "potatoes", "tomatoes", "cabbage", "butter", "pepper", "ginger"),
    "tool": ("a soft cloth", "an old brush", "a wooden spoon", "a dry sponge", "a small screwdriver", "a clean bowl"),
    "intro.care": (
        "[a|your] {it} [lasts longer|works better] if it is [cleaned|looked after] every {d} weeks; [this is how|here is how it is done]",
        "if your {it} [smells|rattles|sticks], [do not throw it away|it is not lost], but [set aside|take] {n} minutes and [read on|follow these steps]",
    ),
    "step.care": (
        "[switch off|unplug|put down] the {it} and [wait {n} minutes|let it rest for {n} minutes]",
        "[wipe|rub] the {part} with {tool}, [never|not] with [hot water|vinegar|sand]",
        "[loosen|take out] the {n} screws [under|behind|next to] the {part} and [keep them in a cup|lay them in a row]",
        "[put|place] [two|three|four] drops of oil on the {part}, [but not more|and no more]",
        "[check|look] whether the {part} [moves freely|is tight|shows cracks]; if [not|in doubt], [ask in a shop|replace it]",
        "[mix|stir] {n} grams of [soap|salt|soda] into [one litre|half a litre|two litres] of [warm|cold] water and [use it for|wash] the {part}",
        "[dry|air] the {part} for at least {n} hours, [best|preferably] [in the shade|by an open window|overnight]",
        "[fasten|put back] the {part} [with care|until it clicks|without force]",
    ),
    "outro.care": ("[the {it}|it] should now [run|work] as it did [on the first day|when it was new]", "[repeat this|do this again] [twice a year|in {n} weeks|every spring]"),
    "intro.cook": (
        "for {food} for {d} people you need {n} grams of {stuff}, [some|two handfuls of] {stuff2} and {tool}",
        "this {food} [takes|needs] {n} minutes and costs [little|next to nothing]; [buy|get] {n} grams of {stuff} and some {stuff2}",
    ),
    "step.cook": (
        "[wash|peel|chop] the {stuff} and cut [|or divide ]everything into {d} [equal|small|thin] pieces",
        "[boil|steam|bake] the {stuff} for {n} minutes [with the lid on|without stirring|over low heat]",
        "[add|stir in] {n} grams of {stuff2}, [a little at a time|all at once|while it is warm]",
        "[fry|brown] the {stuff2} [until it smells good|for {n} minutes|on both sides] and [set the pan aside|keep the pan warm]",
        "[taste|try] it; if it is [not salty enough|too dry], add [a pinch of salt|a cup of water|some oil]",
        "[cover|leave] the bowl [with {tool}|with a cloth] and [wait|let it rest] for {n} minutes",
        "[pour|ladle] [everything|the {stuff}] into a [deep|warm|flat] dish and [turn|stir] it [once|twice|with {tool}]",
    ),
    "outro.cook": ("[serve|eat] it [hot|cold|at once] with {stuff2}", "what is left [keeps|stays fresh] for {d} days [in a cool place|in the cellar]"),
    "order": ("first, ", "then ", "next, ", "after that, ", "now ", "", "", "when that is done, "),
}  # fmt: skip

CHINESE: dict[str, str | tuple[str, ...]] = {
    "food": ("汤", "炖菜", "煎饼", "饺子", "面条", "馒头", "凉菜", "粥"),
    "stuff": ("面粉", "大米", "胡萝卜", "洋葱", "蘑菇", "豆子", "土豆", "番茄", "白菜", "黄油", "青椒", "生姜"),
    "tool": ("一块软布", "一把旧刷子", "一把木勺", "一块干海绵", "一把小刀", "一个干净的碗"),
    "intro.care": (
        "{it}每{d}个星期[清洗|保养]一次，[用得更久|更好用]，[方法如下|做法很简单]",
        "如果您的{it}[有异味|有响声|不灵活]，[先别扔|还有救]，[花|抽出]{n}分钟，[照着做就行|按下面的步骤来]",
    ),
    "step.care": (
        "[关掉|拔掉|放好]{it}，[等|放]{n}分钟",
        "用{tool}[擦|抹]{part}，[千万不要|不能]用[热水|醋|沙子]",
        "[拧松|取下]{part}[下面|后面|旁边]的{n}颗螺丝，[放进杯子里|摆成一排]",
        "在{part}上滴[两|三|四]滴油，[不要太多|不能再多]",
        "[看看|检查]{part}[能不能转动|紧不紧|有没有裂纹]，[有问题|拿不准]就[去店里问|换一个]",
        "把{n}克[肥皂|盐|小苏打]放进[一升|半升|两升][温水|冷水]里，用来[清洗|泡]{part}",
        "{part}至少[晾|放]{n}个小时，最好[放在阴凉处|放在窗边|晾一夜]",
        "把{part}[装回去|固定好]，[动作要轻|听到响声为止|不要用力]",
    ),
    "outro.care": ("这样{it}就[和新的一样|像刚买来时一样]了", "[每年两次|{n}个星期以后|每年春天]再做一遍"),
    "intro.cook": (
        "{d}个人吃的{food}，需要{n}克{stuff}、[一些|两把]{stuff2}和{tool}",
        "这道{food}[要花|需要]{n}分钟，[花钱不多|几乎不花钱]，[准备|买]{n}克{stuff}和一些{stuff2}",
    ),
    "step.cook": (
        "把{stuff}[洗净|去皮|切碎]，分成{d}[等份|小块|薄片]",
        "{stuff}[煮|蒸|烤]{n}分钟，[盖上盖子|不要搅动|用小火]",
        "加入{n}克{stuff2}，[一次加一点|一次放完|趁热放]",
        "把{stuff2}[炒出香味|炒{n}分钟|两面煎黄]，[放在一边|保温]",
        "[尝一尝|试一试]，[不够咸|太干]就加[一点盐|一杯水|一些油]",
        "[盖上|用布盖住]碗，[等|放]{n}分钟",
        "把[所有材料|{stuff}][倒进|盛进][深|热|平]盘里，[翻一次|翻两次|用{tool}拌匀]",
    ),
    "outro.cook": ("[趁热|放凉以后|马上]和{stuff2}一起吃", "剩下的可以[在阴凉处|在地窖里]放{d}天"),
    "order": ("首先，", "然后", "接着", "接下来，", "现在", "", "", "做好以后，"),
}  # fmt: skip


def howto(draw: Draw, tongue: Tongue, aspects: dict[str, tuple[str, bool, str, str, str, str, str]]) -> Told:
    """Instructions of seven to nine sentences; ``aspects`` names the parts of things."""
    topic = draw.choice(("care", "cook"))
    kind = draw.choice(KINDS)
    parts = [aspect for aspect in kind.aspects if aspect not in ("light", "sound", "software", "finish")]
    chinese = tongue.code == "zh"
    stuffs = [tongue.grammar.phrase("stuff", draw)]
    while len(stuffs) < 2 or stuffs[0] == stuffs[1]:
        stuffs[1:] = [tongue.grammar.phrase("stuff", draw)]
    food = tongue.grammar.phrase("food", draw)

    def slots() -> dict[str, str | Mention]:
        """Words for a sentence: the thing, its food and stuffs stay, the rest is drawn anew."""
        return {
            "it": kind.chinese if chinese else kind.english,
            "part": aspects[draw.choice(parts)][2] if chinese else aspects[draw.choice(parts)][0],
            "tool": tongue.grammar.phrase("tool", draw),
            "n": str(draw.between(2, 60)),
            "d": str(draw.between(2, 6)),
            "food": food,
            "stuff": stuffs[0],
            "stuff2": stuffs[1],
        }

    sentences = [tongue.sentence(f"intro.{topic}", slots(), draw)]
    rules = draw.some(tuple(range(8 if topic == "care" else 7)), draw.between(5, 7))
    for rule in rules:
        pieces: list[str | Mention] = []
        tongue.grammar.expand("order", {}, draw, pieces)
        tongue.grammar.expand_nth(f"step.{topic}", rule, slots(), draw, pieces)
        sentences.append(tongue.close(pieces))
    sentences.append(tongue.sentence(f"outro.{topic}", slots(), draw))
    return tongue.paragraph(sentences)
