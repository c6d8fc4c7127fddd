"""
The dictionary of the `.wwz` container: what small `.tflite` files hold besides weights.

It is the structure, constants cut out, of a convolutional and a recurrent network in float32 and int8 as the converter
of TensorFlow 2.21 writes them. It belongs to the format: another dictionary needs another magic number.
"""

import base64
import zlib

_TEXT = (
    "c-q}s4Qx}_751~85C;<saf1^gmbO5%5vuT`Jo6l_Db3PKFdC#NYP&3h@>5s?Hp63R&1hDIK(&-"
    "r8D&*TD^^k#2}TnZMQBRfh%p+ifzb}33}qtA2Fn<OAQ&Nz?YDD%&-1(Y<~^H0wRL^cv3>75=X>X#d*At!yGB(t&0?{*fg}rmk@0}-"
    "t3E4yyO63ws!DE=-<g!nkq;mCP-"
    "2{)I7&F2Lk!Mz24{H^oRRcLIh<<@&NK#RZxWoIh3+_x9jItb$8j+@{Yh{_i##084hCl`gEM<9G0v;L863_j1}B5TsY!y9)sw~HWQ28`DGW|W"
    "5}aYrW1O8U85}2r6HbEj?al%Y=N$%TGJ{hZPK;Ccl_ea`Wd<jm!D&o_Q@fAX=h29c<3OAe_&A3+vw>`u#22|gZ^cUAgMTgejV`K);gh*Mpgj"
    "zJ8fCW<%*7Fk?-KMRzl)c=>Xq=`8Ag5*BOgp4zw8}dJ|n8jr!w*#3FPx{?25~;Fp<BNK>q8`?vBgvF_B*!HJ2Z5-"
    "l?zOL_U~6{)3gw`c;$lCy<}z{E@zX19@`JZbcKHvyBUM9hw-"
    "76vQC1wJ<Lse<#CZXLt@E4>?a47#<tLbCTf!4`A_tR++K46i*zSoGet0=xaq;XY5(_*z;KVTtJusnmY~T$(b(E*X$^c`2*?^(f~<&s%Dp)D!"
    "nwj<ea%&OrEoK-Imz%B;>WDZ8ne?08{|v!TIAL@6hey=z+17Sw|m?=j-"
    "G7L?7x~s6GXBzQ74<n#$<8QMcnpawaOumM`LWG6Qte>|l@iVPg9pVvJlWOJZOLjE?}FeE`0Jb_1;iDu;y?14BLpIQKN_fUg2nA1ve~3<DG<w"
    "tgqBZ~Na=wHBxjsNssL+R@(RIxmdp{*#V1!xUZT$7MJ9aped<UO$Fo+{|rZe%uh@$NQrE_>fA+PR3%V4CXF#bEz@=r=l9&!n;G_?Ldg0XBum"
    "?9iV$g=C;GlTA(_K?m;h5721*PnFnPi<DSuZOPULRlXFr!MxT+1XJ9%mi=NdCOOAjsn_}dVvs4&2K?d`dP(CZ3;}qnXj_aI;_iS<VXT{F9J9"
    "Z|u_skx9&)j$};CeDoe>QMYeJFR{<3vD0Y!C9JVw_0Bc$SWF)`{_7Wv&d&Q8JLU`4qIXDqNbqG=E3*tbzsQ0`<e<nt_5q<v=c=Az<tVdJ`xB"
    "^b}AY&>a$Af!avC23iH=MZ2U&_&jVne&2$#No@DSb!%gG)cn;p<aeSS$hz|))IVrv=q-"
    "jvi^HW6il_M>GQT4hYa}TRc{T_*gAC48<Y|oPXVn_j?`PosBh3AWnEO-kelI>lTW=Y|qxsTdf#<sn&t%QtMtPn+3{N`pcm<wg437hOsu&)!A"
    "Lkh!%`SBUPl(~s&R&baGfUNZQjw=e;34mXEABbcFyBeV*rV@@MdkOU(<Hv;o5W5wzAm3Y>=fhfZb8;<aWT8b%R2G>CwID0e_OoPpwG3K#9TK"
    "MPu)z+HjAS+^ikS)2;(Q&=35vm6UE7i#KJ<@q+*vI3v*%Y1{#J<?geTES_|X?>VnN_1%>tka~&9<29)+l=CQDKSXGYzwE?Xk<zru`Fis8e<4"
    "R$CD8$FEP9gT45@O$ZA@*I4@_0omKW@Nr;XTGdmM;i#dizM?7}y9mUkBQIA2F~WpOJ%SCL4A6yknq-"
    ">%p;=d*94sAlmZD#TXw_@Qjgr55%M`kf)l*MGq4fT}-T-"
    "g7%(_zR@AXx>S6Y=F7DCX&8@;;$jXH7iU`N`9A_w15^q$0D#Rv&j7iB&VoVefxJLh!59aCDuB{}y1+mIpnRZS0PO&(m+1Ra0ptQ|#r-"
    "CBZ5pM%jo4)|(@!Dxs}=e?^MpEO*EXNeD6Y;m>8tb#c&d=!zjSb&kM+%)L&kj-"
    "cPKfI7@svCI~C)Dk&o5zgLi?i?biv64R&S^&l}8LF_<Gd=|0;sPA8W4LzU(isOKc|KIM*?*P-Otv$ho1FUCi1{bLi`r>wAX->NG~f9LIbzW-"
    "GnHtt*5lk{aamGL--O!`*Kli=(x=W(u?^sV+L!FlU59;YZ`+_&maf+L;e`=>i1#(k^Vk;FKcA~J__%Aju*>klTu*}q^Rhr{-"
    "V(%AlB5}ZSOy?lQ#YTTy^C+HKs@dJOnN3zdEzBoajX7KRlxcqq&`Pu~Xt0TI6mPwzeD}ns={knYR_#8CWM+`?N)<^uLwb8e|rNQ^%#n*joj`"
    "(Hm4^0+qTF}%}oG7m?MO%{bu+SG0`#X2j6Pie_d-Y*><|9-O;*<Jdd={u1HvB3m(E}8;Q-"
    "umpPcf$r_Can3R0~uGR1akBr+HyFZrW!T>39`tvvh#ZHJflOMxA3guk}=3`3vT-vp@&%Q=V|*oH8isy%lnXb0wNrz6n&$<d$Myh`kC&F7~`_"
    "LVgR`{$tu+OX&B04|`{nlXjtw>4@XNc`YY3$!ll2SYL%Tw}Yv<Y#8S;2a!CecL%;RS|3(o_$T2wC4MF>M(dWyKIg}5N-"
    "awwGsYSYcM{_Rw7j3Siv`aK$@>Oi;sEYPG1f^#q!&u+PN8QqE6V3s@jgeC_Bj0C55{vl^4(<6KUf^qYijb{Y0y7-hT$RhyI{~isKq)-TXP-q"
    "rmExn2(1RZMDK;__<q7U<aIH7Le^Go&{wdaza!7x!Q4;L`a`Pz9^6gM&-&Xcl(jPc)`_}kJ$<b=?U`U-"
    ";5gQY9%haA+aFlHW{pL(vDSkuK_8|0S8zjWHpR>qdj|RRcfROH@jTlm;zylupz<<xKY9lqGz@eWs1eBHp!H6nWbQ}X{-"
    "vrNK*xc)fVzPO|4r>Tj87lD&HK%T*#EA>1mQ%K_p=Ly8vc9gct0BejNr%@-;a9k+`k{Kx-"
    ";I7O84kT?eX<|{(dyY#E&|Gu?HBckg1u}*`!a6z35vOzK&LeI@-z9(X)lRw@#?1V8&<UYtM`t*9}1d?`84-"
    "03ZEWVR5oT#&tti61|=X{as;wHv9h#M}q%vh&XdU`qXFS*N=vb>xYUYc+Qgf#YVnA8XA|!JNigJ8S!@OeT4t%MRW-"
    "48c|xF8&R4bk$iJx$#?F|C8em_;_I-4mC>9b<+quG%IQ^O%9evsMY;~(wjpJf`=(O(vrgseLm|Z|o<+yT*CG96{aA-"
    "LenHl+*<jr_tG!>FQ|;{=d%^qZj1Arg*R1d^So(tZ#>(ftm0Qcb>mAFyl_yqvue`t3>s<Q0cTsh@w{XRC-"
    "qRxwdoQ%Ciq}uK!{h5Ga<duh>mH_;_y2s6HT-JE`^w>KZOXtmjw$ng*{(EXA5}KJ+pc78YEwSWX;<Ex)2>{5`k0d4)uy~MrCsT*2fE#+jQqJ"
    "xX)kS4cK)VadHfgc%HWcA<=o+;%IS~Wl$jqKRzj~GRo?wpyJD0>u=Tl?&yc)QtIvDCB=*&8+#IQqXTIc@Tb6B+&jkZ=^LsDK8#f2!Uw^V${z"
    "Io<uK%51E_rr~+*;(9|J34_pDqi?xeb2#<+Xk}{f*6X>Q4jmA8P{gKL-5r!53@fx-"
    "!4KbL$4#_e72S^NfJ3`O~B0YwlRQs8Fe0J$enwU1aXSjT+x~F8Y09zId<ox%IzLpWht1RGciY6#u_*7V}EfJ9|K=+lMi~w8nExzK*vsdFFor"
    "UrwWp"
)
DICTIONARY = zlib.decompress(base64.b85decode(_TEXT))
