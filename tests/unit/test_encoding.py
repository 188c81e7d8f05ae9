"""Encodings that nothing names: short texts and lists in the languages that use them."""

# ruff: noqa: RUF001 -- other scripts are the point here

from __future__ import annotations

import pytest

from nemo_retriever_dagster.extract.encoding import decode

TEXTS = {
    "cp1252 cp850 mac_roman": [
        "Name;Ort\nMüller;Köln\nJäger;Düsseldorf\nGroß;Gießen\n",
        "Le café est très bon, déjà goûté à Noël. C'est l'été.",
        "Nom;Ville\nRené;Besançon\nHélène;Nîmes\nJérôme;Orléans\n",
        "Año;Teléfono\n2024;Sí\n2025;Según señor Núñez\n",
        "Nome;Cidade\nJoão;São Paulo\nConceição;Brasília\n",
        "Perché la città è così bella? Più caffè, già.",
        "Namn;Ort\nÅsa;Göteborg\nSjöström;Malmö\n",
        "Alle mennesker er født frie og lige i værdighed. På gensyn, Søren Ærø.",
    ],
    "cp1252": [
        "Straße;Ort\nHauptstraße;Köln\n",
        "ciudad,población\nMálaga,578460\nCórdoba,322071\n",
        "item,price\nTea,£3\nCoffee,£4\n",
        "Temp 20°C\n",
        "It’s “quoted” – fine, 5 €",
        "Conjunto nº 2, más de 3 m², 15 °C ± 2, §5, 4×4",
        "Søren, José, Zoë, Müller, João, Åsa, Çelik, Renée",
        "Hver maður er borinn frjáls og jafn öðrum að virðingu og réttindum.",
        "La qualità è più alta; la città è così bella, però non c'è più caffè. " * 5,
        "Syödään hyvää jäätelöä pöydän ääressä. " * 5,
    ],
    "cp1250 iso8859_2 cp852": [
        "Zażółć gęślą jaźń. Łódź jest piękna.",
        "Imię,Miasto\nMałgorzata,Kraków\nŁukasz,Łódź\nPaweł,Gdańsk\n",
        "Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i swych praw.",
        "Příliš žluťoučký kůň úpěl ďábelské ódy.",
        "Jméno;Město\nJiří;Brno\nTomáš;Plzeň\nLukáš;Děčín\n",
        "Všetci ľudia sa rodia slobodní a sebe rovní, čo sa týka ich dôstojnosti a práv.",
        "Név;Város\nGyőző;Győr\nKároly;Szeged\nÖdön;Debrecen\n",
        "Minden emberi lény szabadon születik és egyenlő méltósága és joga van.",
        "Nume;Oraş\nIonuţ;Bucureşti\nŞtefan;Iaşi\nMădălina;Braşov\n",
        "Vă mulţumim pentru comandă. Factura este ataşată în acest mesaj.",
        "Naziv;Grad\nŽarulja;Čakovec\nŠešir;Šibenik\nĐurđa;Poreč\nIvić;Šolta",
    ],
    "cp1251 koi8_r cp866": [
        "Привет, мир. Это проверка кодировки текста.",
        "Имя;Город\nИван;Москва\nАнна;Самара\n",
        "Товар,Цена\nЧайник,1200\nЛожка,50\n",
        "ОТЧЕТ О ПРОДАЖАХ ЗА МАРТ\nИтого: 1200 руб.",
    ],
    "cp1251": ["Назва;Місто\nЇжак;Київ\nЄва;Львів\n"],
    "cp1253": ["Καλημέρα κόσμε. Αυτό είναι ένα κείμενο."],
    "cp1254": ["Şu köşe yaz köşesi, şu köşe kış köşesi. İstanbul'da güneş ışığı."],
    "cp1255": ["כל בני האדם נולדו בני חורין ושווים בערכם"],
    "cp1256": ["مرحبا بالعالم. هذا نص عربي للاختبار."],
    "cp1257": ["Visi žmonės gimsta laisvi ir lygūs savo orumu ir teisėmis."],
    "cp874": ["มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกัน"],
    "cp932 euc_jp": [
        "番号,名前,住所\n1,山田太郎,東京都千代田区\n2,鈴木花子,大阪府大阪市\n",
        "商品,数量\nカメラ,10\nレンズ,20\n",
        "会議は明日です。",
    ],
    "gb18030": ["你好，世界。", "编号,姓名\n1,张三\n2,李四\n", "合同编号：2024-001\n甲方：北京科技有限公司"],
    "big5": ["台灣的首都是台北市，人口眾多。", "編號,姓名\n1,張三\n2,李四\n", "您好，世界。"],
    "cp949": ["안녕하세요. 한국어 문서입니다.", "번호,이름\n1,김철수\n2,이영희\n", "감사합니다"],
}
CASES = [(name, text) for names, texts in TEXTS.items() for name in names.split() for text in texts]


@pytest.mark.parametrize(("encoding", "text"), CASES)
def test_a_short_text_is_read_as_it_was_written(encoding, text):
    found = decode(text.encode(encoding))
    assert (found.text, found.warnings) == (text, ())


@pytest.mark.parametrize(("encoding", "text"), CASES)
def test_utf8_stays_utf8(encoding, text):
    assert decode(text.encode()).text == text


def test_a_letter_or_two_of_a_rare_encoding_are_found_where_the_usual_one_makes_no_word():
    assert decode("Köln".encode("cp850")).text == "Köln"
    assert decode("Köln".encode("cp1252")).text == "Köln"
