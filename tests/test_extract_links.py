"""What a link leads to and what is said about it: the address as a value, invitations, notices, broken addresses."""

# ruff: noqa: RUF001 -- texts in other scripts are what is tested
from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tempmailg import ConfigurationError, _extract
from tempmailg._extract._address import Owner, parse


def _link(content: str, subject: str = "Confirm your address", *, is_html: bool = True) -> str | None:
    return _extract.find_link(content, is_html=is_html, subject=subject)


def _button(url: str, text: str = "Confirm address") -> str:
    return f'<p>Hello Mika,</p><a href="{url}">{text}</a><p><a href="https://x.example/privacy">Privacy</a></p>'


class TestToken:
    """A token is recognised by its shape, never by its letters."""

    _ALPHABETS = (
        string.ascii_letters + string.digits + "-_",
        string.hexdigits[:16],
        string.ascii_letters + string.digits + "+/",
        string.ascii_uppercase + string.digits,
        string.ascii_letters + string.digits + ".~-_",
    )

    @given(st.data())
    def test_its_letters_never_change_the_answer(self, data: st.DataObject) -> None:
        """Any token of one alphabet and length is as good as another, also one that spells `unsubscribe` or `faq`."""
        alphabet = data.draw(st.sampled_from(self._ALPHABETS))
        letters = data.draw(st.text(alphabet, min_size=20, max_size=48))
        token = data.draw(
            st.sampled_from([letters, f"{letters[:9]}faq{letters[9:]}", f"{letters[:5]}DENY{letters[5:]}"])
        )
        in_value = f"https://pond.example/in?t={token}"
        in_route = f"http://localhost:5173/#/enter/{token.replace('/', '_').replace('+', '-')}"
        assert _link(_button(in_value)) == in_value
        assert _link(_button(in_route)) == in_route

    @pytest.mark.parametrize(
        "tail",
        [
            "?k=Ab3/Zx+9/Qe==",
            "?k=$2b$12$Kq0xYz77",
            "?k=aa11,bb22;cc33",
            "?user=mika;key=4d2e;end=9",
            "s/Wxz",
            "s/kqzvtwpl",
            "s/4f0c9b1e-77aa-4c21-9d0e-0b6f5a4d3c2b",
        ],
    )
    def test_every_alphabet_of_an_address_is_known(self, tail: str) -> None:
        """Base64 with slashes, dollar signs, commas, semicolons, and short tokens are tokens."""
        url = f"https://pond.example/{tail}"
        assert _link(_button(url)) == url

    @pytest.mark.parametrize("path", ["", "about", "en/privacy", "dashboard", "guide#confirm", "my/account/settings"])
    def test_an_address_that_everyone_shares_is_no_answer(self, path: str) -> None:
        """A home page or an ordinary page is not followed, however it is praised."""
        assert _link(_button(f"https://pond.example/{path}")) is None


class TestAddress:
    """The parts of an address, read for what they are."""

    @pytest.mark.parametrize(
        "url",
        [
            "http://localhost:4200/#/account/confirm/Tq93kPzw1",
            "https://pond.example/app/#/activate/77120/Tq93kPzw1",
            "https://pond.example/#!/mail/confirm/Tq93kPzw1",
            "http://127.0.0.1:8000/confirm?k=Tq93kPzw1",
            "http://[::1]:3000/confirm/Tq93kPzw1",
            "http://backend:8080/confirm/Tq93kPzw1",
            "https://blog.pond.example/confirm?k=Tq93kPzw1",
            "https://help.pond.example/confirm?k=Tq93kPzw1",
            "https://pond.example/confirm?k=Tq93kPzw1&next=/settings/privacy",
            "https://pond.example/settings/mail/confirm/Tq93kPzw1",
            "pond://confirm?k=Tq93kPzw1",
            "com.example.pond:/auth/done?k=Tq93kPzw1",
        ],
    )
    def test_routes_hosts_ports_and_schemes_are_read(self, url: str) -> None:
        """Routes behind `#`, hosts without a dot, IP addresses, ports and schemes of apps lead somewhere, too."""
        assert _link(_button(url)) == url
        assert _link(_button(url, url)) == url

    @pytest.mark.parametrize("scheme", ["javascript:confirm", "mailto:confirm@pond.example?k=", "data:text/html,"])
    def test_what_leads_nowhere_is_never_an_answer(self, scheme: str) -> None:
        """Scripts, mail, data and telephone numbers are no links to follow."""
        assert _link(f'<a href="{scheme}Tq93kPzw1">Confirm address</a>') is None

    def test_a_device_to_sign_in_on_is_no_notice(self) -> None:
        """To sign in on a phone is asked for; a sign-in on the reader's account is what has been done."""
        url = "pond://auth/signin?token=Tq93kPzw1"
        button = f"<p>Open this mail on the phone and tap</p><a href='{url}'>Sign in to Pond</a>"
        assert _link(button, "Sign in on your phone") == url
        assert _link(button, "Sign-in on your account") is None

    def test_an_address_is_taken_apart(self) -> None:
        """Host, path with the route behind the `#`, and parameters are values; words come only from what is words."""
        address = parse("https://www.pond.example:8443/app/#/reset-password/x9Faq77Terms?mode=verifyEmail&k=1")
        assert address is not None
        assert (address.host, address.path[-2:]) == ("www.pond.example", ("reset-password", "x9Faq77Terms"))
        assert "resetpassword" in address.words
        assert "verify" in address.words
        assert "faq" not in address.words
        assert address.owner is Owner.ONE_READER
        assert not address.avoided

    @pytest.mark.parametrize("name", ["q3-planning", "spring-2027", "10-tips-for-spring"])
    def test_a_name_with_a_number_is_no_token(self, name: str) -> None:
        """A team or a page may be called so, for every reader."""
        address = parse(f"https://pond.example/s/{name}/")
        assert address is not None
        assert address.owner is Owner.PERHAPS

    @pytest.mark.parametrize(
        "name", ["copy", "reg", "region", "sect", "times", "para", "notify", "currency", "amp", "lt"]
    )
    def test_a_parameter_is_no_character_reference(self, name: str) -> None:
        """`&region=` stays what it is (HTML standard: no reference before `=` or a letter), `&amp;` is decoded."""
        url = f"https://pond.example/confirm?id=7&{name}=b&k=Tq93kPzw1"
        assert _link(_button(url)) == url
        assert _link(_button(url.replace("&", "&amp;"))) == url

    @pytest.mark.parametrize(
        ("head", "href", "url"),
        [
            ("", "//pond.example/confirm?k=Tq93kPzw1", "https://pond.example/confirm?k=Tq93kPzw1"),
            (
                "<base href='https://pond.example/m/'>",
                "confirm?k=Tq93kPzw1",
                "https://pond.example/m/confirm?k=Tq93kPzw1",
            ),
            (
                "<base href='https://pond.example/m/'>",
                "/confirm?k=Tq93kPzw1",
                "https://pond.example/confirm?k=Tq93kPzw1",
            ),
            ("<base href='//pond.example/m/'>", "confirm?k=Tq93kPzw1", "https://pond.example/m/confirm?k=Tq93kPzw1"),
            ("", " https://pond.example/confirm?k=Tq93\n\tkPzw1 ", "https://pond.example/confirm?k=Tq93kPzw1"),
            ("", "confirm?k=Tq93kPzw1", None),
        ],
    )
    def test_a_reference_is_resolved_as_a_browser_does(self, head: str, href: str, url: str | None) -> None:
        """Schemes and bases are filled in, line ends dropped; what stays relative leads nowhere."""
        assert _link(f"{head}{_button(href)}") == url


class TestBroken:
    """An address that was cut on its way is joined or declined."""

    _START = "https://pond.example/confirm/Zk81mQw0Zk81mQw0Zk81mQw0Zk81mQw0Zk81mQw0Zk8"

    def test_lines_of_a_broken_address_are_joined(self) -> None:
        """A margin in the middle of a token is no end, in angle brackets neither."""
        assert (
            _link(f"Please confirm:\n\n{self._START}\n1mQw0Zk8=7\n\nPond\n", is_html=False)
            == f"{self._START}1mQw0Zk8=7"
        )
        bracketed = f"Please confirm:\n\n<{self._START}\nabcdef>\n"
        assert _link(bracketed, is_html=False) == f"{self._START}abcdef"

    def test_half_an_address_is_no_answer(self) -> None:
        """Where the next line may be its rest or a word, the address is declined."""
        assert _link(f"Please confirm:\n\n{self._START}\nabcdefghij\n", is_html=False) is None

    def test_the_next_line_is_left_alone(self) -> None:
        """A greeting below a long address does not become a part of it."""
        assert _link(f"Please confirm:\n\n{self._START}\nThanks,\nPond\n", is_html=False) == self._START

    def test_a_forgotten_transfer_coding_is_undone(self) -> None:
        """Quoted-printable that was left in a text does not reach the address."""
        coded = "Please confirm your address:=20\nhttps://pond.example/confirm?id=3D7&k=3DTq93=\nkPzw1\n"
        assert _link(coded, is_html=False) == "https://pond.example/confirm?id=7&k=Tq93kPzw1"

    def test_a_value_that_only_resembles_a_coding_stays(self) -> None:
        """`=3D` alone proves nothing."""
        url = "https://pond.example/confirm?k=3D77ab"
        assert _link(f"Please confirm your address:\n{url}\n", is_html=False) == url


class TestIntent:
    """What a link is for."""

    @pytest.mark.parametrize(
        ("subject", "text", "button"),
        [
            ("Ruth asks you to join Tidepool", "Ruth would like you to join the rowing crew.", "Join the crew"),
            ("You have been invited to Tidepool", "A place was kept for you.", "Claim your seat"),
            ("Ruth lädt dich zu Tidepool ein", "Komm in die Mannschaft.", "Beitreten"),
            ("Ruth vous invite", "Rejoignez l’équipage.", "Rejoindre"),
            ("Ruth ti ha invitato", "Vieni a remare con noi.", "Accetta"),
            ("Ruth heeft je uitgenodigd", "Kom bij de ploeg.", "Deelnemen"),
            ("Ruth zaprasza do zespołu", "Czekamy na ciebie.", "Dołącz"),
            ("Рут приглашает вас", "Мы ждём вас в команде.", "Присоединиться"),
            ("Ruth sizi davet etti", "Takımda yeriniz hazır.", "Katıl"),
            ("Ruthさんからの招待", "ボート部に招待されました。", "参加する"),
            ("邀请您加入", "露丝邀请您加入划船队。", "加入"),
            ("Ruth님의 초대", "조정팀에 초대되었습니다.", "참여하기"),
            ("Pozvánka do posádky", "Ruth vás zve do posádky.", "Přijmout pozvánku"),
            ("Kutsu miehistöön", "Ruth kutsui sinut mukaan.", "Hyväksy kutsu"),
            ("Vabilo v posadko", "Ruth vas vabi v posadko.", "Sprejmi vabilo"),
            ("Meghívó a legénységbe", "Ruth meghívta a legénységbe.", "Csatlakozás"),
            ("Inbjudan till besättningen", "Ruth har bjudit in dig.", "Gå med"),
            ("Πρόσκληση στο πλήρωμα", "Η Ruth σας προσκάλεσε.", "Αποδοχή πρόσκλησης"),
            ("Lời mời vào đội", "Ruth mời bạn vào đội.", "Tham gia"),
            ("דוא״ל הזמנה לצוות", "רות הזמינה אותך לצוות.", "הצטרף"),
            ("दल में आमंत्रण", "रूथ ने आपको आमंत्रित किया है।", "स्वीकार करें"),
        ],
    )
    def test_an_invitation_asks_to_join(self, subject: str, text: str, button: str) -> None:
        """Invitations to a team are an intent of their own, in many languages."""
        url = "http://localhost:3000/i/0c7f9a52-9d1e-4b7a-8c35-2f6e1d0b9a84"
        assert _link(f"<h1>{subject}</h1><p>{text}</p>{_button(url, button)}", subject) == url

    @pytest.mark.parametrize(
        ("subject", "text", "button"),
        [
            ("The crew is waiting", "Ruth has invited you to the rowing crew.", "Get started"),
            ("Die Mannschaft wartet", "Ruth hat dich in die Mannschaft eingeladen.", "Mappe ansehen"),
            ("L’équipage", "Ruth vous invite à voir le plan de course.", "Voir le plan"),
            ("Een plaats in de boot", "Ruth heeft je uitgenodigd voor de ploeg.", "Bekijk het plan"),
            ("Команда ждёт", "Рут пригласила вас в команду гребцов.", "Посмотреть план"),
            ("Kəndə gəl", "Rut sizi komandaya dəvət etdi.", "Başla"),
            ("Meeskond ootab", "Ruth saatis sulle kutse meeskonda.", "Alusta"),
            ("보트", "루스가 당신을 초대했습니다.", "시작"),
            ("لوحة", "روث تدعوك إلى الفريق.", "ابدأ"),
        ],
        ids=["en", "de", "fr", "nl", "ru", "az", "et", "ko", "ar"],
    )
    def test_the_only_link_of_an_invitation_is_its_answer(self, subject: str, text: str, button: str) -> None:
        """Where the words invite, the only address made for the reader is meant, whatever its button says."""
        url = "https://pond.example/g/0c7f9a529d1e4b7a8c352f6e"
        html = f"<p>{text}</p><a href='{url}'>{button}</a><p><a href='https://pond.example/'>Pond</a></p>"
        assert _link(html, subject) == url
        assert _link(f"{text}\n\n{url}\n\nhttps://pond.example/\n", subject, is_html=False) == url

    @pytest.mark.parametrize(
        ("text", "button"),
        [
            ("You are invited to our spring fair.", "Unsubscribe"),
            ("Sie sind zu unserem Frühlingsfest eingeladen.", "Newsletter abbestellen"),
            ("You are invited to our spring fair. To stop these letters, unsubscribe here:", "here"),
        ],
    )
    def test_an_invitation_gives_no_credit_to_what_is_avoided(self, text: str, button: str) -> None:
        """The only address made for the reader may be the one that ends the letters."""
        html = f"<p>{text} <a href='https://pond.example/l/Tq93kPzw1'>{button}</a></p>"
        assert _link(html, "You are invited to the fair") is None

    @pytest.mark.parametrize(
        ("subject", "button"),
        [
            ("Ruth accepted your invitation to the crew", "View crew"),
            ("Ruth declined your invitation", "View crew"),
            ("Ruth hat deine Einladung angenommen", "Mannschaft öffnen"),
            ("Ruth a refusé votre invitation", "Ouvrir l’équipe"),
            ("Ruth aceitou o seu convite", "Abrir"),
            ("Ruth zaakceptowała zaproszenie", "Otwórz"),
            ("Ruth elfogadta a meghívásod", "Megnyitás"),
            ("Рут отклонила ваше приглашение", "Открыть"),
            ("Ruth davetini kabul etti", "Aç"),
            ("露丝已接受您的邀请", "打开"),
        ],
    )
    def test_an_invitation_that_was_answered_asks_for_nothing(self, subject: str, button: str) -> None:
        """That somebody accepted or declined is a notice."""
        assert _link(f"<h1>{subject}</h1>{_button('https://pond.example/c/Tq93kPzw1', button)}", subject) is None

    def test_to_view_is_to_accept_only_where_something_was_shared(self) -> None:
        """The same button asks for nothing below an order."""
        button = "<a href='https://pond.example/o/Tq93kPzw1'>Ansehen</a>"
        invited = f"<p>Ruth hat dich zu einer Mappe eingeladen.</p>{button}"
        assert _link(invited, "Eine Mappe für dich") == "https://pond.example/o/Tq93kPzw1"
        assert _link(f"<p>Danke für deinen Einkauf.</p>{button}", "Dein Einkauf") is None

    @pytest.mark.parametrize(
        ("subject", "text", "button", "path"),
        [
            ("Your crew is ready", "Row along.", "Get started", "onboarding/Tq93kPzw1"),
            ("Row for free", "Share your invite link with friends:", "pond.example/invite/MIKA77", "invite/MIKA77"),
            ("Bring your crew", "Friends who come get a month for free.", "Invite friends", "invite/MIKA77"),
            ("Invita a tus amigos", "Comparte tu enlace y gana.", "Invitar amigos", "invite/MIKA77"),
            ("ボート部だより", "友だちを招待するとポイントがもらえます。", "招待する", "invite/MIKA77"),
            ("Your order 3381", "We invite you to follow your parcel.", "Follow it", "c/Tq93kPzw1"),
            ("Nos conditions changent", "Nous vous invitons à les relire.", "Lire", "c/Tq93kPzw1"),
            ("La tua regata", "Ti invitiamo a votare.", "Vota", "c/Tq93kPzw1"),
            ("Zmiany w klubie", "Zapraszamy do lektury.", "Lektura", "c/Tq93kPzw1"),
            ("Your invitation was sent", "We sent your invitation to Ruth.", "Manage invitations", "c/Tq93kPzw1"),
            ("Invitación enviada", "Tu invitación a Ruth fue enviada.", "Abrir", "c/Tq93kPzw1"),
            ("Ihre Einladung wurde versendet", "Ihre Einladung an Ruth wurde versendet.", "Öffnen", "c/Tq93kPzw1"),
            ("Ruth came", "Ruth accepted your invitation. Say hello.", "Say hello", "c/Tq93kPzw1"),
            ("An exclusive invitation for you", "Discover the new oars.", "Discover", "c/Tq93kPzw1"),
            ("A special invitation", "We invite you to our sale: all oars 20 % off.", "Save now", "c/Tq93kPzw1"),
            ("Invitation: Training @ Mon", "When: Mon 1 Jun 10:00. Joining info:", "c-meet", "Tq9-kPzw-w1k"),
            ("Training", "You have been invited to the following event.", "Training", "event?eid=Tq93kPzw1"),
        ],
    )
    def test_what_only_speaks_of_inviting_is_no_invitation(
        self, subject: str, text: str, button: str, path: str
    ) -> None:
        """To invite others, to be invited politely to read on, and to have invited somebody ask for nothing."""
        assert _link(f"<p>{text}</p><a href='https://pond.example/{path}'>{button}</a>", subject) is None

    @pytest.mark.parametrize("path", ["invitations", "teams/accept", "enroll-account", "#/invite"])
    def test_an_address_may_say_that_it_is_an_invitation(self, path: str) -> None:
        """A path that speaks of an invitation, or of a new account, is enough in a language without a table."""
        url = f"https://pond.example/{path}/Tq93kPzw1Lm40"
        assert _link(f"<p>Blorvi wemta kolu drast.</p><a href='{url}'>Blorvi</a>", "Wemta kolu") == url

    @pytest.mark.parametrize(
        ("subject", "button"),
        [
            ("Your password was changed", "Reset password"),
            ("New sign-in to Tidepool", "Recover account"),
            ("Dein Passwort wurde geändert", "Passwort zurücksetzen"),
            ("Se ha cambiado tu contraseña", "Restablecer contraseña"),
            ("Ваш пароль был изменён", "Сбросить пароль"),
            ("新しい端末からのログイン", "パスワードを再設定"),
            ("Vaše heslo bylo změněno", "Změnit heslo"),
            ("Twoje hasło zostało zmienione", "Zresetuj hasło"),
            ("Ditt lösenord har ändrats", "Återställ lösenord"),
            ("Şifreniz değiştirildi", "Şifremi sıfırla"),
            ("비밀번호가 변경되었습니다", "비밀번호 재설정"),
            ("您的密码已修改", "重置密码"),
            ("Nouvelle connexion à votre compte", "Réinitialiser le mot de passe"),
            ("Your email address has been verified", "Log in"),
            ("Your subscription was cancelled", "Reactivate"),
            ("Deine E-Mail-Adresse wurde bestätigt", "Anmelden"),
            ("Votre adresse a été vérifiée", "Se connecter"),
            ("Tu cuenta ha sido activada", "Iniciar sesión"),
            ("Seu e-mail foi confirmado", "Entrar"),
            ("Il tuo indirizzo è stato verificato", "Accedi"),
            ("Je e-mailadres is bevestigd", "Inloggen"),
            ("Konto zostało aktywowane", "Zaloguj się"),
            ("Vaše e-mailová adresa byla ověřena", "Přihlásit se"),
            ("Sähköpostiosoitteesi on vahvistettu", "Kirjaudu sisään"),
            ("Hesabınız etkinleştirildi", "Giriş yap"),
            ("Ваш адрес подтверждён", "Войти"),
            ("您的邮箱已验证", "登录"),
            ('New reply in "Password reset does not work"', "View topic"),
            ("Neue Antwort auf „Login geht nicht“", "Zum Thema"),
            ("Nouvelle réponse : « Connexion impossible »", "Voir le sujet"),
        ],
    )
    def test_a_notice_has_no_link_to_follow(self, subject: str, button: str) -> None:
        """Buttons of what has been done already are for those who did not do it."""
        assert _link(f"<h1>{subject}</h1>{_button('https://pond.example/s/Tq93kPzw1', button)}", subject) is None

    @pytest.mark.parametrize(
        ("subject", "text", "button"),
        [
            ("Your statement is ready", "Log in to see it.", "Log in"),
            ("Ihr Kontoauszug ist da", "Melden Sie sich an, um ihn zu sehen.", "Anmelden"),
            ("Tu extracto está disponible", "Inicia sesión para verlo.", "Iniciar sesión"),
            ("明細のお知らせ", "ログインしてご確認ください。", "ログイン"),
        ],
    )
    def test_the_page_to_sign_in_at_is_no_answer_to_news(self, subject: str, text: str, button: str) -> None:
        """Where the subject asks for nothing, the entrance of a site is none, whatever counts its readers."""
        entrance, magic = ("https://pond.example/login?mid=Tq93kPzw1", "https://pond.example/login?token=Tq93kPzw1")
        assert _link(f"<p>{text}</p>{_button(entrance, button)}", subject) is None
        assert _link(f"<p>{text}</p>{_button(entrance, button)}", "") == entrance
        assert _link(f"<p>{text}</p>{_button(magic, button)}", subject) == magic

    @pytest.mark.parametrize(
        ("subject", "button"),
        [
            ("Activate your 20% discount", "Activate now"),
            ("Aktiviere deine 20 % Rabatt", "Jetzt aktivieren"),
            ("Activa tu 20 % de descuento", "Activar ahora"),
            ("Aktywuj rabat 20%", "Aktywuj"),
        ],
    )
    def test_a_discount_is_not_activated_as_an_account_is(self, subject: str, button: str) -> None:
        """A subject that offers a percentage speaks of a price, though its verb is that of an account."""
        assert _link(f"<p>…</p>{_button('https://pond.example/a?u=Tq93kPzw1', button)}", subject) is None

    @pytest.mark.parametrize(
        ("subject", "text", "button"),
        [
            ("Welcome! Please confirm your email", "Tap the button.", "Let's go"),
            ("Willkommen! Bitte bestätige deine E-Mail", "Drück auf den Knopf.", "Los geht's"),
            ("Bienvenue ! Confirmez votre e-mail", "Appuyez sur le bouton.", "C'est parti"),
            ("Benvenuto! Conferma la tua email", "Premi il pulsante.", "Andiamo"),
            ("Witaj! Potwierdź swój e-mail", "Naciśnij przycisk.", "Zaczynamy"),
            ("Hoş geldin! E-postanı doğrula", "Düğmeye bas.", "Başlayalım"),
            ("Подтвердите почту", "Нажмите кнопку.", "Начать"),
            ("メールアドレスの確認をお願いします", "下のボタンを押してください。", "はじめる"),
        ],
    )
    def test_the_subject_may_ask_and_the_text_only_point(self, subject: str, text: str, button: str) -> None:
        """Where the subject asks to confirm an address, the only link made for the reader is meant."""
        url, other = "https://pond.example/hello/Tq93kPzw1", "<a href='https://pond.example/more/Lm40aTq93'>…</a>"
        html = f"<p>{text}</p><a href='{url}'>{button}</a>"
        assert _link(html, subject) == url
        assert _link(f"{html}<p>{other}</p>", subject) is None

    @pytest.mark.parametrize(
        ("subject", "sentence"),
        [
            ("Tu enlace de acceso", "Usa este enlace para iniciar sesión."),
            ("Link your new phone", "Open this to link your new phone."),
            ("Zugang wiederherstellen", "Hier können Sie den Zugang wiederherstellen."),
            ("Seu link de acesso", "Use este link para entrar."),
            ("Votre lien magique", "Ce lien vous connecte."),
            ("Twój link do logowania", "Użyj tego linku, aby się zalogować."),
            ("Kirjautumislinkkisi", "Kirjaudu sisään tällä linkillä."),
            ("Erősítse meg e-mail-címét", "Kérjük, erősítse meg e-mail-címét."),
            ("دعتك مارا إلى الفريق", "دعتك مارا للانضمام إلى الفريق."),
        ],
    )
    def test_a_subject_announces_its_link_in_many_languages(self, subject: str, sentence: str) -> None:
        """An address written out below such a subject is the answer, also beside another one made for the reader."""
        url = "https://pond.example/ls/click?upn=Tq93kPzw1Lm40"
        text = f"{sentence}\n\n{url}\n\nhttps://pond.example/b/Lm40aTq93\n"
        assert _extract.find_link(text, is_html=False, subject=subject) == url

    def test_a_denial_counts_in_its_own_sentence(self) -> None:
        """A paragraph for those who did not ask says nothing about the button below it."""
        url = "https://pond.example/s/Tq93kPzw1"
        paragraph = "<p>You did not ask for it? Then ignore this message.</p>"
        assert _link(f"{paragraph}<table><tr><td><a href='{url}'>Set new password</a></td></tr></table>") == url
        assert _link(f"<p>If that was not you, <a href='{url}'>reset your password</a>.</p>", "New address") is None

    def test_an_answer_is_read_with_its_opposite(self) -> None:
        """Of yes and no, yes is what is asked for."""
        for yes, no in (("Yes, it was me", "No, it was not"), ("Ja, das war ich", "Nein"), ("Oui, c’est moi", "Non")):
            pair = f"<a href='https://pond.example/y/Tq93kPzw1'>{yes}</a> <a href='https://pond.example/n/Tq93kPzw1'>{no}</a>"
            assert _link(f"<p>Mika, was this you?</p>{pair}", "A question") == "https://pond.example/y/Tq93kPzw1"

    def test_a_name_is_no_word(self) -> None:
        """A team may be called Archive."""
        url = "https://pond.example/i/Tq93kPzw1"
        assert _link(_button(url, "Join Archive"), "Ruth invites you to Archive") == url

    @pytest.mark.parametrize(
        ("button", "sentence"),
        [
            ("Accepta la invitació a Archive", "Ruth et convida a formar part de l’equip."),
            ("Prijať pozvánku do Archive", "Ruth ťa pozvala do tímu."),
            ("Acceptera inbjudan till Archive", "Du är inbjuden av Ruth."),
        ],
        ids=["ca", "sk", "sv"],
    )
    def test_a_name_behind_an_invitation_is_no_word(self, button: str, sentence: str) -> None:
        """A team's name does not weaken the button that accepts its invitation, in any language."""
        html = f"<p>{sentence}</p><a href='https://pond.example/join?k=Tq93kPzw1'>{button}</a>"
        (found,) = _extract.find_links(html, is_html=True, subject=f"{sentence} Archive")
        assert "its text asks for it" in found.reason
        assert "something else" not in found.reason

    def test_a_name_before_an_invitation_is_no_word(self) -> None:
        """A team's name in the sentence before the button is nothing to avoid."""
        html = "<p>Ruth wants to add you to Archive.</p><a href='https://pond.example/join?k=Tq93kPzw1'>Join</a>"
        (found,) = _extract.find_links(html, is_html=True, subject="You are invited")
        assert "nobody has to follow" not in found.reason

    @pytest.mark.parametrize("heading", ["Unlock the spring sale", "Reset your evenings", "Activate your bonus"])
    def test_advertising_asks_for_nothing(self, heading: str) -> None:
        """The heading of an advertisement passes neither to its logo nor to its offers."""
        logo = "<a href='https://pond.example/?u=7c1f90aa'><img alt=Pond src=l.png></a>"
        offers = "<a href='https://pond.example/o/1?u=7c1f90aa'>See the offers</a>"
        assert _link(f"{logo}<h1>{heading}</h1><p>Until Friday.</p>{offers}", heading) is None

    def test_a_link_stands_where_its_text_stands(self) -> None:
        """`Message.text[start:end]` is the text of the link."""
        html = "<p>One</p><div><p>Two <a href='https://pond.example/s/Tq93kPzw1'> Confirm <b>it</b> </a></p></div>"
        text = _extract.to_text(html, is_html=True)
        found = _extract.find_links(html, is_html=True)[0]
        assert text[found.start : found.end] == found.text == "Confirm it"

    def test_footnotes_are_read_where_they_are_marked(self) -> None:
        """`Confirm it [1] or change it [2]` says what the addresses below are for."""
        urls = ("https://pond.example/a?k=Tq93kPzw1", "https://pond.example/b?k=Tq93kPzw1")
        text = f"Please confirm your address [1] or see our news [2].\n\n[1] {urls[0]}\n[2] {urls[1]}\n"
        assert _link(text, "One step is left: confirm it", is_html=False) == urls[0]

    def test_an_address_may_speak_for_itself(self) -> None:
        """In a language without a table, the only address made for its reader that asks for something is the answer."""
        url = "https://pond.example/verify?token=Tq93kPzw1"
        html = f"<p>Blorvi wemta kolu drast.</p><a href='{url}'>Blorvi</a><p><a href='https://x.example/a'>Fen</a></p>"
        assert _link(html, "Wemta kolu") == url

    def test_a_calendar_invitation_is_no_invitation_to_a_team(self) -> None:
        """Answering an event is nothing to sign in with."""
        pair = "<a href='https://pond.example/y/Tq93kPzw1'>Yes</a> <a href='https://pond.example/n/Tq93kPzw1'>No</a>"
        assert _link(f"<p>Ruth invited you to an event.</p>{pair}", "Calendar invitation: Rowing") is None


class TestTheWordsOfALink:
    """`text=` and `contains=` are compared as a person reads them."""

    _URL = "https://pond.example/t/Tq93kPzw1"

    @pytest.mark.parametrize(
        ("shown", "wanted"),
        [
            ("Track&nbsp;your\u202fparcel", "track your parcel"),
            ("Track your\n   parcel", "your parcel"),
            ("Track your parcel", "your\u00a0parcel"),
            ("Pare&shy;l ver&#8203;folgen", "parel verfolgen"),
            ("Re\u0301servation", "R\u00c9SERVATION"),
            ("Zur Straße", "ZUR STRASSE"),
            ("\uff34\uff32\uff21\uff23\uff2b", "track"),
            ("İstanbul", "istanbul"),
        ],
        ids=["no-break", "wrapped", "asked with no-break", "broken", "combining", "sharp s", "full width", "dotted i"],
    )
    def test_words_are_compared_as_they_are_read(self, shown: str, wanted: str) -> None:
        """Blanks of any kind, invisible characters, composition, width and case do not hide a link."""
        html = f"<p>Hello</p><a href='{self._URL}'>{shown}</a> <a href='https://pond.example/news'>News</a>"
        assert _extract.find_link(html, is_html=True, text=wanted) == self._URL

    def test_an_address_is_compared_as_it_is_read(self) -> None:
        """A part of the address is found in any case and however its letters are composed."""
        url = "https://pond.example/Re\u0301servation/Tq93kPzw1"
        html = f"<a href='{url}'>Show</a> <a href='https://pond.example/news'>News</a>"
        assert _extract.find_link(html, is_html=True, contains="/r\u00e9servation/") == url

    def test_other_words_do_not_fit(self) -> None:
        """A text that the link does not show finds nothing, so that comparing is no guess."""
        html = f"<a href='{self._URL}'>Track your parcel</a>"
        assert _extract.find_link(html, is_html=True, text="track the parcel") is None
        assert _extract.find_links(html, is_html=True, contains="/tq93kpzw2") == []

    @pytest.mark.parametrize("wanted", ["", " ", "\u00a0", "\u200b", 7])
    def test_what_every_link_shows_is_refused(self, wanted: str) -> None:
        """A blank or anything but text was never filled in: it must not make the only link the answer."""
        html = f"<a href='{self._URL}'>Track your parcel</a>"
        for name in ("contains", "text"):
            with pytest.raises(ConfigurationError, match=f"{name} must be text"):
                _extract.find_link(html, is_html=True, **{name: wanted})
