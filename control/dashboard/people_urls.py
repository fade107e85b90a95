"""Addresses of what people do about themselves and each other, signing in included."""

from __future__ import annotations

from django.contrib.auth.views import LogoutView
from django.urls import path

from control.dashboard import openid, own, people, second_factor
from control.dashboard import sign_in as strangers
from control.dashboard.access import admin
from control.dashboard.access import own as mine
from control.openid import ID

urlpatterns = [
    path("sign-in", strangers.SignInView.as_view(), name="sign-in"),
    path("sign-in/code", strangers.code, name="sign-in-code"),
    path("sign-in/openid", openid.begin, name="sign-in-openid"),
    path("sign-in/openid/callback", openid.finish, {"provider_id": ID}, name="openid_connect_callback"),
    mine("sign-out", LogoutView.as_view(next_page="sign-in"), "sign-out"),
    mine("account", own.account, "account"),
    mine("account/password", own.password, "own-password"),
    mine("account/second-factor", second_factor.second_factor, "second-factor"),
    mine("account/second-factor.svg", second_factor.picture, "second-factor-picture"),
    mine("account/second-factor/codes", second_factor.new_codes, "second-factor-codes"),
    mine("account/second-factor/off", second_factor.off, "second-factor-off"),
    mine("account/sessions/end", own.end_sessions, "end-sessions"),
    mine("account/tokens/make", own.make_token, "make-token"),
    mine("account/tokens/<str:name>/revoke", own.revoke_token, "revoke-token"),
    admin("people", people.people, "people"),
    admin("people/add", people.add, "add-person"),
    admin("people/<int:number>", people.person, "person"),
    admin("people/<int:number>/give", people.give, "give-role"),
    admin("people/<int:number>/take", people.take, "take-role"),
    admin("people/<int:number>/password", people.password, "new-password"),
    admin("people/<int:number>/second-factor-off", people.forget, "forget-second-factor"),
    admin("people/<int:number>/disable", people.disable, "disable-person"),
    admin("people/<int:number>/enable", people.enable, "enable-person"),
]
