*** Settings ***
Documentation       A sign-up by mail, tested with each of the five keywords.
Library             tempmailg.robot
Library             sign_up.py

Suite Setup         Make The Shared Mailbox


*** Test Cases ***
The Code Of A Mail
    ${mailbox} =    New Mailbox
    Sign Up    ${mailbox.email}    314159
    ${code} =    Wait For Code    ${mailbox}    subject=welcome    length=6    timeout=30 s
    Should Be Equal    ${code}    314159

The Link Of A Mail
    ${mailbox} =    New Mailbox
    Sign Up    ${mailbox.email}
    ${link} =    Wait For Link    ${mailbox.email}    contains=/confirm    timeout=${30}
    Should Be Equal    ${link}    https://shop.example/confirm?token=81f0c2d4ab77

The Message That A Keyword Causes
    Sign Up    ${SHARED.email}    111111
    ${message} =    Expect Message    ${SHARED}    Sign Up    ${SHARED.email}    code=222222
    Should Contain    ${message.text}    222222
    Should Be Equal    ${message.from_email}    hello@shop.example

What Is Text Stays Text
    ${subject} =    Set Variable    C:\\temp \${x} a=b
    ${message} =    Expect Message    ${SHARED}    Send    ${SHARED.email}    ${subject}
    Should Be Equal    ${message.subject}    ${subject}

An Empty Mailbox
    Sign Up    ${SHARED.email}
    Clear Mailbox    ${SHARED}
    Run Keyword And Expect Error    WaitTimeoutError: *
    ...    Wait For Code    ${SHARED}    timeout=0


*** Keywords ***
Make The Shared Mailbox
    ${mailbox} =    New Mailbox
    VAR    ${SHARED}    ${mailbox}    scope=SUITE

Send
    [Arguments]    ${email}    ${subject}
    Sign Up    ${email}    subject=${subject}
