"""Which number is the code: typed tokens, the word that names it, candidates, and structure in place of a name."""

# ruff: noqa: RUF001 -- texts in other scripts are what is tested
from __future__ import annotations

import pytest

from tempmailg import _extract
from tempmailg._extract._typed import without_typed


def _code(content: str, subject: str = "Your code", *, is_html: bool = False) -> str | None:
    return _extract.find_code(content, is_html=is_html, subject=subject)


class TestTyped:
    """What a number is by its form is no candidate and no rival."""

    @pytest.mark.parametrize(
        "token",
        [
            "14.09.2028",
            "2028-09-14",
            "14/09/28",
            "14 September 2028",
            "14 de septiembre de 2028",
            "September 14, 2028",
            "2028年9月14日",
            "2028년 9월 14일",
            "18:20",
            "18:20:05",
            "18h20",
            "6:20 p.m.",
            "€ 1.250,00",
            "1 250,00 zł",
            "EUR 41.70",
            "$1,299.99",
            "+44 20 7946 0958",
            "(030) 901820 44",
            "555-010-4477",
            "06 12 34 56 78",
            "DE89 3704 0044 0532 0130 00",
            "4012 8888 8888 1881",
            "•••• 4821",
            "© 2028 Tidepool",
            "192.0.2.44:8080",
            "2001:db8:0:1:1:1:1:1",
            "Mozilla/5.0 (X11; Linux x86_64) Chrome/126.0.6478.127",
            "Windows 11",
            "Windows NT 10.0",
            "Harbourside.and.Daughters:EUR2041",
            "Tidepool d.o.o., 14 Quayside",
            "v3.14.2601",
            "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
            "221 Baker Street",
            "8-digit",
        ],
    )
    def test_a_form_is_recognised(self, token: str) -> None:
        """Dates, times, amounts, telephone numbers, accounts, cards, addresses and versions leave no digit over."""
        blank = without_typed(f"a {token} b")
        assert not any(map(str.isdigit, blank))
        assert len(blank) == len(token) + 4

    @pytest.mark.parametrize("code", ["481902", "4819", "481 902", "48-19-02", "KX7Q-29TW", "059 027 466"])
    def test_a_code_has_none_of_them(self, code: str) -> None:
        """What is typed away is never a code."""
        assert without_typed(f"Your code is {code}. Bye") == f"Your code is {code}. Bye"

    @pytest.mark.parametrize(
        "text",
        [
            "Code 481902 18:20 UTC",
            "Your code is 481902 14.09.2028 18:20",
            "Code valable jusqu’à 18h20 : 481902",
            "Your code: 481902\n\nTidepool Inc. 2210 Harbour Road, Leeds",
            "Hi mika77,\n\nOTP: 481902\n",
            "Your code is 481902. Requested from 192.0.2.44 with Chrome 126, Windows 11, on 14 September 2028.",
            "Enter 481902 to approve 41.70 EUR for Tidepool.",
            "Your code is 481902\n\n© 2028 Tidepool. 4821 members.",
        ],
    )
    def test_what_stands_beside_a_code_does_not_hide_it(self, text: str) -> None:
        """Times, dates, addresses, user names, devices and amounts next to a code are no rivals."""
        assert _code(text) == "481902"

    def test_the_year_of_a_copyright_line_is_no_code(self) -> None:
        """A mail about a password holds no code because its last line holds a year."""
        text = "Does the button “Reset password” fail? Copy this address: https://x.example/r/9f.\n\n© 2028 Tidepool"
        assert _code(text, "Reset your password") is None


class TestNames:
    """The word that names a number."""

    @pytest.mark.parametrize(
        "text",
        [
            "Your login code for account 55120987 is 481902.",
            "The code for customer 5512 is\n\n  481902\n\nKeep it to yourself.",
            "Der Code für Konto 55120987 lautet 481902.",
            "Le code pour le compte 55120987 est le 481902.",
            "El código para la cuenta 55120987 es 481902.",
            "Il codice per l’utente 55120987 è 481902.",
            "Kod do konta 55120987 to 481902.",
            "Код для аккаунта 55120987: 481902",
            "Váš kód pro účet 55120987 je 481902.",
            "Az Ön kódja az 55120987 fiókhoz: 481902",
            "55120987 numaralı hesabınız için kodunuz 481902.",
            "Koden för konto 55120987 är 481902.",
            "Koodi tilille 55120987 on 481902.",
            "Ο κωδικός για τον λογαριασμό 55120987 είναι 481902.",
            "账号55120987的验证码是481902。",
            "アカウント55120987の認証コードは481902です。",
            "계정 55120987의 인증번호는 481902입니다.",
            "رمز التحقق للحساب 55120987 هو 481902.",
            "खाता 55120987 के लिए आपका कोड 481902 है।",
        ],
    )
    def test_an_account_describes_and_the_verb_names(self, text: str) -> None:
        """`for account N` says whose code it is; the number behind the verb or the colon is the code."""
        assert _code(text, "Sign in") == "481902"

    @pytest.mark.parametrize(
        "text",
        [
            "Twój kod do zatwierdzenia operacji nr 7701550 to 481902.",
            "Per confermare l'operazione n. 7701550 digita il codice di sicurezza 481902.",
            "Le code de la démarche n° 7701550 est le 481902.",
            "Digite 481902 no aplicativo para confirmar seu acesso. Protocolo 7701550.",
            "Introduce 481902 en la pantalla para verificar tu identidad. Solicitud 7701550.",
            "Gib 481902 in der App ein, um deine Identität zu bestätigen. Vorgang 7701550.",
            "Chào bạn, nhập mã 481902 để xác nhận thiết bị mới. Mã khách hàng 7701550.",
        ],
    )
    def test_a_short_word_for_number_describes_what_stands_behind_it(self, text: str) -> None:
        """`operation no. N` is no code, whatever the operation is called; a Portuguese `no` is no number."""
        assert _code(text, "Sign in") == "481902"

    @pytest.mark.parametrize(
        "text",
        [
            "Account 55120987\n\n481902 is your one-time code.\n\nReference: 7701550",
            "Compte 55120987\n\n481902 est votre code à usage unique.",
            "Contrato 55120987\n\n481902 es tu código de un solo uso.",
            "Hesap 55120987\n\n481902 tek kullanımlık kodunuzdur.",
            "접수번호 55120987\n\n481902은 일회용 코드입니다.",
            "帳戶 55120987\n\n481902 是您的一次性驗證碼。\n\n保單號碼:7701550",
            "Enter 481902 on the sign-in page. Device 55120987.",
            "Codul dvs. de verificare este 481902. Dispozitiv 55120987",
            "رقم الوثيقة 55120987\n\nرمز التحقق الخاص بك هو 481902.\n\nرقم الملف 7701550",
            "รหัสยืนยันของคุณคือ 481902 เลขที่รายการ 55120987",
        ],
    )
    def test_a_label_describes_only_its_own_number(self, text: str) -> None:
        """The words of another line or sentence, and what stands before the next number, say nothing of the code."""
        assert _code(text) == "481902"

    @pytest.mark.parametrize(
        "text",
        [
            "The password of account 55120987 was changed yesterday.",
            "Das Passwort zum Konto 55120987 wurde heute geändert.",
            "Le mot de passe du compte 55120987 a été modifié.",
            "Account 55120987 was locked after five wrong passwords.",
            "您的账号55120987的密码已修改。",
            "55120987 numaralı hesabın şifresi değiştirildi.",
            "Lösenordet för konto 55120987 har ändrats.",
        ],
    )
    def test_a_password_names_only_what_it_stands_next_to(self, text: str) -> None:
        """A number elsewhere in its sentence is that of an account."""
        assert _code(text, "Password changed") is None

    @pytest.mark.parametrize(
        "text",
        [
            "Your Tide ID code is: 481902.",
            "Your SMS code is 481902 and is valid for 5 minutes.",
            "Your authorization code is 481902. Enter it to continue.",
            "Approval code: 481902",
            "Numero di verifica: 481902",
            "Número de verificación: 481902",
            "Ověřovací číslo: 481902",
            "Je sms-code is 481902.",
            "De code voor je betaling van € 41,70 is 481902.",
            "El código para el pago de 41,70 EUR es 481902.",
            "481902 is your passcode for a purchase of $41.70 with the card ending 5512.",
        ],
    )
    def test_a_noun_beside_the_code_does_not_take_it_away(self, text: str) -> None:
        """Where a code comes by, and what it approves, says nothing against it."""
        assert _code(text, "Sign in") == "481902"

    @pytest.mark.parametrize(
        ("subject", "text"),
        [
            ("A discount for you", "Use the promo code 481902 at checkout."),
            ("Your parcel", "Pickup code: 481902. The locker is open until Friday."),
            ("Votre colis", "Code postal : 481902"),
            ("Fehler", "Fehlercode: 481902"),
            ("Your receipt", "Invoice 5512\nAmount paid $41.70\nAuthorization code 481902"),
            ("Your stay is confirmed", "Booking number: 55120987\nPIN code: 5512"),
            ("Our codes", "Our codes have six digits, for example 481902. We never ask for yours."),
            ("Beware", 'Fraudsters write "Your verification code is 481902" and then call you.'),
        ],
    )
    def test_other_codes_are_none_to_sign_in_with(self, subject: str, text: str) -> None:
        """Promotions, parcels, postal codes, errors, receipts, examples and citations hold no code to type."""
        assert _code(text, subject) is None

    @pytest.mark.parametrize(
        "name",
        [
            *("Customer code", "Gift card code", "Employee code", "Ländercode", "Code pays", "Código de país"),
            *(
                "Codice paese",
                "Klantcode",
                "Kod błędu",
                "Kód země",
                "Hibakód",
                "Virhekoodi",
                "Koda napake",
                "Ülke kodu",
            ),
            *("Κωδικός πόρτας", "Код от двери", "Код клієнта", "Dörrkod", "Dørkode", "Cod de eroare", "رمز الخطأ"),
            *("קוד שגיאה", "देश कोड", "รหัสประตู", "Kode negara", "お客様コード", "국가 코드", "门锁密码", "錯誤代碼"),
        ],
    )
    def test_compounds_that_are_no_codes_are_known_in_many_languages(self, name: str) -> None:
        """A mail that is hardly more than such a code holds none to sign in with."""
        assert _code(f"{name}: 481902", name) is None
        assert _code(f"{name}:\n481902\n", "") is None

    @pytest.mark.parametrize(
        "text",
        [
            "Your Reed Bank code is 481902.",
            "Seu código do Banco Junco é 481902.",
            "Votre code Banque du Lac est 481902.",
        ],
    )
    def test_the_code_of_a_bank_is_a_code(self, text: str) -> None:
        """A bank that sends a code is not what a transfer calls the code of a bank."""
        assert _code(text) == "481902"

    @pytest.mark.parametrize(
        "text",
        [
            "We send codes such as 481902.",
            "Our codes have six digits, e.g. 481902.",
            "Geben Sie Codes niemals weiter. Sie haben sechs Stellen, z. B. 481902.",
            "Nuestros códigos tienen seis cifras, p. ej. 481902.",
        ],
    )
    def test_an_example_is_no_code(self, text: str) -> None:
        """Words for examples are known with the dots of their abbreviations."""
        assert _code(text, "Codes") is None

    @pytest.mark.parametrize(
        "text",
        [
            "Your code for Example Store is 481902.",
            "Ihr Bestätigungscode bei der Beispiel GmbH lautet 481902.",
            "Örnek Mağaza doğrulama kodunuz: 481902",
            "El código para pagar 31,50 EUR en Tienda Ejemplo es 481902.",
        ],
    )
    def test_a_shop_may_be_called_an_example(self, text: str) -> None:
        """A word for an example is a name where it stands beside another name."""
        assert _code(text) == "481902"

    @pytest.mark.parametrize(
        ("subject", "text"),
        [
            ("A code only for you", "25% off everything.\n\nEnter this code to confirm your price:\n\nSPRING25\n"),
            ("Sana özel kod", "%25 indirim\n\nÖdeme sayfasında bu kodu gir:\n\nBAHAR25\n"),
        ],
    )
    def test_a_word_with_a_number_is_a_coupon_beside_a_percentage(self, subject: str, text: str) -> None:
        """What saves a percentage is typed as well, but by no means to sign in."""
        assert _code(text, subject) is None


class TestCandidates:
    """What may be a code by its characters."""

    @pytest.mark.parametrize(
        ("text", "code"),
        [
            ("Вам понадобится код «481902».", "481902"),
            ("Ihr Code ist »481902«.", "481902"),
            ("¿Su código? ¡Es «481902»!", "481902"),
            ("Ձեր կոդն է՝ 481902։", "481902"),
            ("Code: 48-19", "4819"),
            ("Code: 481-90", "48190"),
            ("Code: 48-190", "48190"),
            ("Code: 48-190-2", "481902"),
            ("Code: 4 – 8 – 1 – 9", "4819"),
            ("Your code is KX7Q\u200c-\u200c29TW", "KX7Q-29TW"),
            ("Code: 481-902-73", "48190273"),
            ("您的登录验证码是481902,5分钟内有效,请勿告知他人。", "481902"),
            ("您正在转账1310.00元,动态密码为481902,请勿泄露。", "481902"),
        ],
    )
    def test_marks_are_no_letters_and_groups_may_be_uneven(self, text: str, code: str) -> None:
        """Quotation marks touch digits, and groups are of any size that people use."""
        assert _code(text) == code

    @pytest.mark.parametrize(
        "row",
        [
            "<tr><th>Code</th><th>Until</th></tr><tr><td>481902</td><td>18:20</td></tr>",
            "<tr><td>481902</td><td>15 min</td></tr>",
            "<tr><td>3 tries</td><td>Code 481902</td><td>15 minutes</td></tr>",
            "<tr><td>481</td><td>902</td></tr>",
        ],
    )
    def test_a_cell_ends_a_number(self, row: str) -> None:
        """The next cell is another thing, unless two cells are the halves of one code."""
        assert _code(f"<p>Your code</p><table>{row}</table>", is_html=True) == "481902"

    def test_a_dash_may_have_a_cell_of_its_own(self) -> None:
        """A code in boxes, one for each character, is read with its dash; dashes between digits are dropped."""
        for code, value in (("FQ7-22K", "FQ7-22K"), ("481-902", "481902")):
            boxes = "".join(f"<td>{character}</td>" for character in code)
            assert _code(f"<p>Your code</p><table><tr>{boxes}</tr></table>", is_html=True) == value

    @pytest.mark.parametrize(
        ("subject", "text"),
        [
            (
                "481902 is your Tidepool code",
                "It stops working in ten minutes.\n\nTidepool Ltd, 7 Mill Lane, Leeds, best wishes",
            ),
            (
                "481902 è il tuo codice",
                "Scade tra dieci minuti.\n\nTidepool S.r.l., Via del Molo 7, 16128 Genova, saluti",
            ),
            ("481902 – Ihr Code", "Er gilt zehn Minuten.\n\nTidepool GmbH, Am Kai 7, 20457 Hamburg, viele Grüße"),
        ],
    )
    def test_the_subject_is_a_full_place(self, subject: str, text: str) -> None:
        """A code in the subject is found when the text has none."""
        assert _code(text, subject) == "481902"

    def test_the_text_may_ask_to_type_the_code_of_the_subject(self) -> None:
        """A code that the subject names is believed where the text says no more than what to do with it."""
        text = "Cześć Mara,\nktoś zakłada konto na ten adres. Jeśli to Ty, podaj kod w aplikacji.\n\nPozdrawiamy"
        assert _code(text, "481902 to Twój kod Tidepool") == "481902"


class TestStructure:
    """What stands in for a name."""

    @pytest.mark.parametrize(
        ("subject", "lead"),
        [
            ("Prove it is you", "Give the app this number:"),
            ("Almost done", "Type this number into the app:"),
            ("Fast fertig", "Tippe diese Zahl in die App:"),
            ("Iniciar sesión", "Escribe este número en la pantalla:"),
            ("Logowanie", "Wpisz na stronie:"),
        ],
    )
    def test_a_number_alone_and_large_is_asked_for(self, subject: str, lead: str) -> None:
        """Nobody needs to say code: it stands alone, large, and is asked for."""
        html = f"<p>{lead}</p><h1>481902</h1><p>…</p>"
        assert _code(html, subject, is_html=True) == "481902"

    def test_a_large_number_alone_is_not_enough(self) -> None:
        """A figure that nobody asks to type is no code."""
        assert _code("<p>You saved</p><h1>481902</h1><p>litres this year.</p>", "Your year", is_html=True) is None

    def test_a_device_code_is_asked_for(self) -> None:
        """Letters with a dash below `Enter` are what to type."""
        assert _code("1. Open x.example/link\n2. Sign in\n3. Enter KXRT-QWLM", "Link your device") == "KXRT-QWLM"

    @pytest.mark.parametrize(
        "text",
        [
            "Your code is 481902. The earlier code 770155 is no longer valid.",
            "Hello, your new code is 481902.\n\n> Your code is 770155.\n",
            "之前的验证码770155已失效,新的验证码为481902。",
            "770155 kodunun süresi doldu. Yeni kodunuz: 481902",
            "A 770155 kód lejárt. Az új kód: 481902",
            "Koden 770155 har gått ut. Din nya kod är 481902.",
            "Platnost kódu 770155 vypršela. Váš nový kód je 481902.",
            "Koodi 770155 on vanhentunut. Uusi koodisi on 481902.",
            "O código 770155 expirou. Use o novo código: 481902.",
            "이전 인증번호 770155은 만료되었습니다. 새 인증번호는 481902입니다.",
            "Термін дії коду 770155 закінчився. Новий код: 481902",
            "Your previous code 770155 has expired. We have created a new one: 481902",
            "Der Code 770155 ist abgelaufen und kann nicht mehr benutzt werden. Ihr neuer Code lautet 481902.",
            "Le code 770155 n'est plus valable. Utilisez désormais celui-ci : 481902",
            "Ignora il codice precedente (770155). Quello da usare è 481902.",
            "Kod 770155 stracił ważność. Twój nowy kod to 481902.",
        ],
    )
    def test_a_code_that_counts_no_more_yields(self, text: str) -> None:
        """Of two codes, the one that was withdrawn or quoted is not the answer."""
        assert _code(text) == "481902"

    @pytest.mark.parametrize(
        "rest",
        ["Request a new one by telephone.", "Your case: 5512.", "Two new ones: 481902, 481903.", "Order: 481902."],
    )
    def test_a_withdrawn_code_has_no_other_successor(self, rest: str) -> None:
        """What is not written alike, is named as something else or stands twice does not follow a withdrawn code."""
        assert _code(f"Your previous code 770155 has expired. {rest}") is None

    @pytest.mark.parametrize(
        "html",
        [
            "<p>It worked!</p><p>On 3 May 2028, Tidepool wrote:</p><blockquote>Your code is 481902.</blockquote>",
            "<p>Danke!</p><blockquote><p>Am 3. Mai 2028 schrieb Tidepool:</p><p>Ihr Code ist 481902.</p></blockquote>",
        ],
    )
    def test_the_code_of_an_answered_mail_is_none(self, html: str) -> None:
        """A quotation that says who wrote it when is a reply's, though the mail holds no other code."""
        assert _code(html, "Re: Your code", is_html=True) is None

    def test_a_code_may_be_set_as_a_quotation(self) -> None:
        """A mail that only sets its own code in a block of quotation has no other."""
        html = "<p>Your code:</p><blockquote>481902</blockquote><p>It is valid for 5 minutes.</p>"
        assert _code(html, is_html=True) == "481902"


class TestBank:
    """A bank's approval stands among accounts, cards and amounts."""

    @pytest.mark.parametrize(
        "text",
        [
            "To confirm the payment of EUR 318.40 to TIDE STORE on 14.09.2028 at 18:20 with card 5512 enter 481902.",
            "Dear customer, 481902 is your one-time password for the transaction of Rs. 2,300 using card ending 5512.",
            "Ihre mobileTAN 481902 für die Überweisung von 318,40 EUR auf das Konto DE89370400440532013000.",
            "Kod SMS: 481902. Operacja z 14-09-2028, kwota 318,40 PLN, rachunek ...5512.",
            "Никому не сообщайте код 481902. Покупка 318,40 RUB, карта *5512.",
            "[은행] 인증번호 [481902] 를 입력하세요. 결제금액 31,000원",
            "Tide: usa 481902 per confermare la ricarica di 31 € sul numero 347 5512345. Pratica 7701550.",
            "Fala: kod 481902 potwierdza doładowanie 31 zł numeru 600 551 234.",
            "รหัสยืนยันการเติมเงิน 100 บาท คือ 481902 ห้ามบอกผู้อื่น",
            "481902 is the OTP for your recharge of Rs 299 on 98XXXXXX21. Txn ID 7741009283. Valid for 3 mins.",
            "JANGAN BERIKAN kode ini kepada siapa pun. Kode OTP pembelian paket Rp50.000 Anda: 481902. Trx 7741009283",
        ],
    )
    def test_its_code_is_found(self, text: str) -> None:
        """The code is the one that is asked for or named, whatever numbers stand around it."""
        assert _code(text, "Confirm") == "481902"

    @pytest.mark.parametrize("sender", ["Blue Mobile", "Tide Account"])
    def test_the_name_of_the_sender_describes_nothing(self, sender: str) -> None:
        """A sender called after what a number may be of does not make the number behind its name one of these."""
        text = f"{sender}: 481902 is your code to confirm the payment of 31 EUR."
        found = _extract.find_code(text, is_html=False, subject="Top-up", sender_name=sender)
        assert found == "481902"

    @pytest.mark.parametrize(
        ("subject", "text"),
        [
            ("Wi-Fi", "Guest Wi-Fi access code: 481902"),
            ("Security alert", "We blocked a sign-in with the wrong code 481902 on 14 September."),
            ("Support ticket 481902", "Your ticket 481902 has been updated."),
        ],
    )
    def test_other_numbers_stay_out(self, subject: str, text: str) -> None:
        """Codes of networks, refused codes and tickets are not the answer."""
        assert _code(text, subject) is None

    @pytest.mark.parametrize(
        ("subject", "text"),
        [
            ("Receipt 55120987", "Amount 4.70 GBP. Card ending 5512, auth code 481902. Terminal ID 77015500."),
            ("Your transfer is on its way", "Amount: USD 1,310.00. Confirmation 7701550. Authorization code 481902."),
            ("Operación realizada", "Importe: 1.310,00 EUR. Operación 7701550. Código de autorización 481902."),
            (
                "交易提醒",
                (
                    "您尾号5512的卡于今日在潮汐书店消费131.70元,授权码481902,商户编号7701550。"
                    "如有疑问,欢迎在工作时间联系我行客服中心,感谢您一直以来的支持。"
                ),
            ),
        ],
    )
    def test_what_a_receipt_says_was_approved_asks_for_nothing(self, subject: str, text: str) -> None:
        """Beside an amount, the number of an approval is a code only where something asks to type it."""
        assert _code(text, subject) is None
