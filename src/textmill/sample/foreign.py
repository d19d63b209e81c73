"""Documents in languages that the corpus does not want, from a small grammar each."""

# Rules and words are data, one entry a line.
# ruff: noqa: E501

from __future__ import annotations

from functools import cache

from textmill.sample.draw import Draw
from textmill.sample.grammar import Grammar
from textmill.sample.world import World

RULES: dict[str, tuple[str, ...]] = {
    "de": (
        "[Am Montag|Gestern|Im letzten Jahr|Vor drei Wochen] hat {p} [in {l}|am Hafen von {l}] [ein kleines Geschäft|eine Werkstatt|eine Bäckerei] eröffnet.",
        "Die Leute in {l} [freuen sich darüber|sprechen oft davon|wissen nichts davon], [denn|weil sie sagen, dass] das Leben dort [ruhig|teuer|schön] geworden ist.",
        "{p} arbeitet seit {n} Jahren [bei einer großen Firma|in einer alten Fabrik] und [möchte nicht mehr umziehen|fährt jeden Tag mit dem Zug].",
        "Wenn es regnet, [bleiben wir zu Hause|gehen die Kinder in die Schule|ist der Markt leer], und [niemand|keiner] kauft [frisches Brot|Obst und Gemüse].",
        "Das [neue|alte] Haus [kostet|kostete] {n} tausend Euro, aber [die Miete ist niedrig|der Garten ist groß|das Dach ist undicht].",
        "Nach dem Essen [erzählte|fragte] {p}, [ob wir den Weg nach {l} kennen|warum die Straße gesperrt ist].",
    ),
    "fr": (
        "[Lundi dernier|Hier soir|L'année dernière], {p} a ouvert [une petite boutique|un atelier|une boulangerie] [à {l}|près du port de {l}].",
        "Les habitants de {l} [en sont très contents|en parlent souvent|ne le savent pas encore], parce que la vie y est devenue [plus calme|plus chère|plus belle].",
        "{p} travaille depuis {n} ans [dans une grande entreprise|dans une vieille usine] et [ne veut plus déménager|prend le train tous les jours].",
        "Quand il pleut, [nous restons à la maison|les enfants vont à l'école|le marché est vide], et personne n'achète [du pain frais|des fruits et des légumes].",
        "La [nouvelle|vieille] maison coûte {n} mille euros, mais [le loyer est bas|le jardin est grand|le toit est abîmé].",
        "Après le repas, {p} nous a demandé [si nous connaissions le chemin de {l}|pourquoi la route était fermée].",
    ),
    "es": (
        "[El lunes pasado|Ayer por la tarde|El año pasado], {p} abrió [una pequeña tienda|un taller|una panadería] [en {l}|cerca del puerto de {l}].",
        "Los vecinos de {l} [están muy contentos|hablan mucho de eso|todavía no lo saben], porque la vida allí se ha vuelto más [tranquila|cara|bonita].",
        "{p} trabaja desde hace {n} años [en una gran empresa|en una vieja fábrica] y [ya no quiere mudarse|toma el tren todos los días].",
        "Cuando llueve, [nos quedamos en casa|los niños van a la escuela|el mercado está vacío], y nadie compra [pan fresco|frutas y verduras].",
        "La casa [nueva|vieja] cuesta {n} mil euros, pero [el alquiler es bajo|el jardín es grande|el techo está roto].",
        "Después de comer, {p} nos preguntó [si conocíamos el camino a {l}|por qué la calle estaba cerrada].",
    ),
    "ru": (
        "[В понедельник|Вчера вечером|В прошлом году] наш сосед открыл [маленький магазин|мастерскую|пекарню] [в старом городе|недалеко от вокзала].",
        "Люди [очень рады этому|часто говорят об этом|ещё ничего не знают], потому что жизнь здесь стала [спокойнее|дороже|красивее].",
        "Моя сестра работает уже {n} лет [на большом заводе|в старой школе] и [не хочет переезжать|каждый день ездит на поезде].",
        "Когда идёт дождь, [мы остаёмся дома|дети идут в школу|на рынке пусто], и никто не покупает [свежий хлеб|фрукты и овощи].",
        "[Новый|Старый] дом стоит {n} тысяч рублей, но [сад большой|крыша протекает|рядом есть река].",
        "После обеда учитель спросил, [знаем ли мы дорогу к морю|почему улица закрыта|когда придёт автобус].",
    ),
    "it": (
        "[Lunedì scorso|Ieri sera|L'anno scorso] {p} ha aperto [un piccolo negozio|un'officina|una panetteria] [a {l}|vicino al porto di {l}].",
        "Gli abitanti di {l} [sono molto contenti|ne parlano spesso|non lo sanno ancora], perché la vita è diventata più [tranquilla|cara|bella].",
        "{p} lavora da {n} anni [in una grande azienda|in una vecchia fabbrica] e [non vuole più traslocare|prende il treno ogni giorno].",
        "Quando piove [restiamo a casa|i bambini vanno a scuola|il mercato è vuoto], e nessuno compra [il pane fresco|frutta e verdura].",
        "La casa [nuova|vecchia] costa {n} mila euro, ma [l'affitto è basso|il giardino è grande|il tetto è rotto].",
        "Dopo pranzo {p} ci ha chiesto [se conoscevamo la strada per {l}|perché la via era chiusa].",
    ),
}  # fmt: skip
LANGUAGES = tuple(RULES)


@cache
def _grammar(language: str) -> Grammar:
    return Grammar({f"s{i}": rule for i, rule in enumerate(RULES[language])})


def document(draw: Draw, world: World) -> tuple[str, str]:
    """A document of about eighty words in a foreign language, and the language's code."""
    language = draw.choice(LANGUAGES)
    grammar = _grammar(language)
    rules = draw.shuffled(grammar.names()) + draw.some(grammar.names(), 2)
    sentences = []
    for rule in rules:
        slots = {
            "p": draw.choice(world.people).english,
            "l": draw.choice(world.places).english,
            "n": str(draw.between(3, 90)),
        }
        sentences.append(grammar.phrase(rule, draw, slots))
    return " ".join(sentences), language
