//! Literal expectations for each sample of a provider: its event, item and price.

use std::{collections::BTreeSet, fmt::Write as _};

use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use integration_tests::{
    samples::{every_sample, samples},
    server::Server,
    storage::rebuilt,
};
use netcore_webhooks::local::EVENTS_TABLE;
use serde_json::Value;
use webhook_ingest::{
    event::Attribute,
    events_table::item::{self, Item},
};

use super::record_of;

/// File, channel, status, recipient, event time and message id of every sample.
const EVENTS: &str = "
event-webhook/clicked                 RCS      clicked   919209209291  1704877756000 api-337-919209209291-417c614cf4ae2688c47c4098091f9d04-1704877390
event-webhook/delivered               RCS      delivered 919209209291  1704876833000 api-337-919209209291-3c9094b5cd72fdcaafbb633502afa672-1704876827
event-webhook/dialer_click            RCS      clicked   919209209291  1704877907000 api-337-919209209291-417c614cf4ae2688c47c4098091f9d04-1704877390
event-webhook/failed                  RCS      failed    919209209291  1691766278000 api-77865-919209209291-7ccfc842d1203d1f7f45cb5979e9c57b-1691766276
event-webhook/not_sent                RCS      not_sent  919209209291  1691766278000 api-77865-919209209291-7ccfc842d1203d1f7f45cb5979e9c57b-1691766276
event-webhook/read                    RCS      read      919209209291  1704877597000 api-337-919209209291-4f3406fc8aede5feef7801bfb75cfb97-1704877442
event-webhook/reply                   RCS      clicked   919209209291  1704878040000 api-337-919209209291-417c614cf4ae2688c47c4098091f9d04-1704877390
event-webhook/sent                    RCS      sent      91920920929   1704876828000 api-337-91920920929-3c9094b5cd72fdcaafbb633502afa672-1704876827
fallback-sms/clicked                  SMS      clicked   918989898989  1745402753000 api-337-918989898989-9c64eaa99bd7478ebb3936790c9abb78-1745396579
fallback-sms/delivered                SMS      delivered 919999999999  1762494360000 sms-337-4b285fb81844-fG2uBk2yZaj3TkwN-0efbe2a86-1762494360
fallback-sms/failed                   SMS      failed    919999999999  1762494360000 sms-337-4b285fb81844-fG2uBk2yZaj3TkwN-0efbe2a86-1762494360
fallback-sms/sent                     SMS      sent      919999999999  1762494360000 sms-337-4b285fb81844-fG2uBk2yZaj3TkwN-0efbe2a86-1762494360
delivery-status/delivered             WHATSAPP delivered 918657856504  1764585432000 bab1e073-51c9-4566-8008-30d33b6bedfd
delivery-status/failed                WHATSAPP failed    918657856504  1764587102000 f12a9c22-8b37-4b75-bd1d-12ab45c90877
delivery-status/read                  WHATSAPP read      916361467892  1764693401000 3694d58b-fc29-4563-b0d4-923c2ae43555
delivery-status/sent                  WHATSAPP sent      918657856504  1764585991000 859c535b-8d46-46ed-9afb-9082262a8dfb
incoming-webhook/audio                RCS      received  918983190458  1708683532677 MxZ1GbicGSQ1-Y0v1Ykhc5jQ
incoming-webhook/contact_file         RCS      received  918983190458  1708685558205 MxsNby9QVrT8y7wGA0DNGGKA
incoming-webhook/contact_text         RCS      received  918983190728  1708685816004 Mxff1kVthpTPCfEXOABYEWeA
incoming-webhook/emoji                RCS      received  918983190458  1708681750341 MxXiODXzJUR42jX=6ZeIAeqw
incoming-webhook/gif                  RCS      received  918983190458  1708682136369 MxXKrq2MgYTbqsUfXzUwWYPg
incoming-webhook/image                RCS      received  918983190458  1708675207299 MxQT995BvzTsqcpe-21oE0wA
incoming-webhook/java_file            RCS      received  918983190458  1708685047935 MxA2pVZPMSQW2Xcz16LFFxiQ
incoming-webhook/location             RCS      received  918983190458  1708685490505 MxF5mGBQsfQpygOdyLGeVkZw
incoming-webhook/pdf                  RCS      received  918983190458  1708684413874 MxSYhAOHBiSfWJIqNhjL4Taw
incoming-webhook/sticker              RCS      received  918983190458  1708682613996 MxhKEgbl1iR96k9dlpbSYAmQ
incoming-webhook/text                 RCS      received  918983190458  1708675048204 MxDB2zvbOSQbKVMUsKCplu3w
incoming-webhook/text_file            RCS      received  918983190458  1708684526506 Mx9bsAlq3vSfaNRYBpRMU7Og
incoming-webhook/url_click            RCS      clicked   918983190458  1708673752001 MxYCqkrTseTPOSfw9lvlLBaw
incoming-webhook/video                RCS      received  918983190458  1708680651935 MxAy54yPx=QiOI9FMTzWpM4g
incoming-webhook/word                 RCS      received  918983190458  1708684719054 MxkpDvH3PJR7CJDh1gZ9jl4w
incoming-webhook/xlsx                 RCS      received  918983190458  1708684649781 Mxg5wr5-4PSRy7HgMu2VvodQ
incoming-webhook-whatsapp/answer      WHATSAPP received  919960432580  1567090844000 ABEGkZlgQyWAAgo-sDVSUOa9jH9z
incoming-webhook-whatsapp/audio       WHATSAPP received  919960432580  1567090838000 ABEGkZlgQyWAAgo-sDVSUOa9jH3z
incoming-webhook-whatsapp/button      WHATSAPP clicked   919960432580  1725950000000 ABEGkZlgQyWAAgo-sDVSUOa9jH7z
incoming-webhook-whatsapp/button_text WHATSAPP clicked   919960432580  1725950001000 ABEGkZlgQyWAAgo-sDVSUOa9jH8z
incoming-webhook-whatsapp/document    WHATSAPP received  919960432580  1567090839000 ABEGkZlgQyWAAgo-sDVSUOa9jH4z
incoming-webhook-whatsapp/image       WHATSAPP received  919960432580  1567090836000 ABEGkZlgQyWAAgo-sDVSUOa9jH1z
incoming-webhook-whatsapp/location    WHATSAPP received  919960432580  1567090840000 ABEGkZlgQyWAAgo-sDVSUOa9jH5z
incoming-webhook-whatsapp/reaction    WHATSAPP received  919960432580  1567090841000 ABEGkZlgQyWAAgo-sDVSUOa9jH6z
incoming-webhook-whatsapp/text        WHATSAPP received  919960432580  1567090835000 ABEGkZlgQyWAAgo-sDVSUOa9jH0z
incoming-webhook-whatsapp/video       WHATSAPP received  919960432580  1567090837000 ABEGkZlgQyWAAgo-sDVSUOa9jH2z
rcs-callback/blocked_duplicate_status RCS      blocked   5511987654321 1748960525123 7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b14
rcs-callback/blocked_duplicate_type   RCS      blocked   5511987654321 1748960525123 7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b15
rcs-callback/blocked_prepaid_account  RCS      blocked   5511987654321 1748960525123 7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b13
rcs-callback/blocked_prepaid_client   RCS      blocked   5511987654321 1748960525123 7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b12
rcs-callback/delivered                RCS      delivered 5511987654321 1748960527456 7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b01
rcs-callback/error_502                RCS      failed    5511987654321 1748960526900 7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b19
rcs-callback/error_503                RCS      failed    5511987654321 1748960526900 7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b20
rcs-callback/exception_401            RCS      failed    5511987654321 1748960526900 7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b16
rcs-callback/exception_403            RCS      failed    5511987654321 1748960526900 7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b17
rcs-callback/exception_404            RCS      failed    5511987654321 1748960526900 7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b18
rcs-callback/fallback_sms_delivered   SMS      delivered 5511987654321 1748960532000 7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b17
rcs-callback/fallback_sms_sent        SMS      sent      5511987654321 1748960528100 7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b17
rcs-callback/inbound_image            RCS      received  5511987654321 1748962920010 7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b22
rcs-callback/inbound_location         RCS      received  5511987654321 1748963040010 7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b24
rcs-callback/inbound_text             RCS      received  5511987654321 1748962860010 7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b21
rcs-callback/inbound_video            RCS      received  5511987654321 1748962980010 7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b23
rcs-callback/outbound_audio           RCS      sent      5511987654321 1748960525000 7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b04
rcs-callback/outbound_basic           RCS      sent      5511987654321 1748960529000 7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b10
rcs-callback/outbound_carousel        RCS      sent      5511987654321 1748960528750 7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b09
rcs-callback/outbound_contact         RCS      sent      5511987654321 1748960525000 7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b06
rcs-callback/outbound_document        RCS      sent      5511987654321 1748960525000 7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b05
rcs-callback/outbound_image           RCS      sent      5511987654321 1748960525000 7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b02
rcs-callback/outbound_location        RCS      sent      5511987654321 1748960526001 7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b07
rcs-callback/outbound_richCard        RCS      sent      5511987654321 1748960527250 7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b08
rcs-callback/outbound_single          RCS      sent      5511987654321 1748960530000 7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b11
rcs-callback/outbound_text            RCS      sent      5511987654321 1748960525123 7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b01
rcs-callback/outbound_video           RCS      sent      5511987654321 1748960525500 7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b03
rcs-callback/read                     RCS      read      5511987654321 1748960700001 7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b01
rcs-callback/suggestion_link          RCS      clicked   5511987654321 1748960771030 7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b08
rcs-callback/suggestion_reply         RCS      clicked   5511987654321 1748960771030 7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b08
email-event/bounced                   EMAIL    bounced   mailto:nobody@example.com 1553681700000 15536250111702804
email-event/clicked                   EMAIL    clicked   mailto:person@example.com 1554376443000 15543162084122748
email-event/dropped                   EMAIL    dropped   mailto:person@example.com 1553681800000 15536250111702810
email-event/invalid                   EMAIL    invalid   mailto:person@example.com 1553681800000 15536250111702811
email-event/old_sent                  EMAIL    sent      mailto:toabc@abc.com 1455193720000 14551290015805717
email-event/opened                    EMAIL    opened    mailto:person@example.com 1554375863000 15543162084122749
email-event/opened_by_another         EMAIL    opened    mailto:someone.else@example.com 1554375863000 15543162084122749
email-event/sendgrid_click            EMAIL    clicked   mailto:person@example.com 1553681625000 15536250111702825
email-event/sendgrid_delivered        EMAIL    delivered mailto:person@example.com 1553681625000 15536250111702823
email-event/sendgrid_dropped          EMAIL    dropped   mailto:person@example.com 1553681625000 15536250111702824
email-event/sent                      EMAIL    sent      mailto:test@gmail.com 1553681625000 15536250111702803
email-event/spam                      EMAIL    spam      mailto:person@example.com 1553681800000 15536250111702813
email-event/unsubscribed              EMAIL    unsubscribed mailto:person@example.com 1553681800000 15536250111702812
event-webhook-paytm/sms_delivered     SMS      delivered 919876543210  1768557945000 rec_7a1c93de20
event-webhook-paytm/sms_failed        SMS      failed    919876543210  1768557972000 rec_44b8f1ce07
incoming-webhook-whatsapp/interactive_button WHATSAPP clicked   919999999901  1750238700000 wamid.int1
incoming-webhook-whatsapp/interactive_list WHATSAPP clicked   919999999901  1750238701000 wamid.int2
incoming-webhook-whatsapp/text_as_list WHATSAPP received  919999999901  1750238703000 wamid.t9
incoming-webhook-whatsapp/voice       WHATSAPP received  919999999901  1750238704000 wamid.v1
incoming-webhook-whatsapp/without_number WHATSAPP received  whatsapp:IN.13491208655302741918 1782282800000 wamid.nonumber1
incoming-webhook-whatsapp/without_type WHATSAPP received  919999999901  1782282738000 wamid.unknown1
rbm-event/airtel_delivered            RCS      delivered 919999999901  1748970065123 01kns4smzq7zewfbqy6t000001
rbm-event/airtel_error                RCS      failed    919999999901  1748970245123 01kns4smzq7zewfbqy6t000004
rbm-event/airtel_expired              RCS      expired   919999999901  1748970185123 01kns4smzq7zewfbqy6t000003
rbm-event/airtel_read                 RCS      read      919999999901  1748970125123 01kns4smzq7zewfbqy6t000001
rbm-event/airtel_tap                  RCS      clicked   919999999901  1748970305123 MxAirtelTap0000000000005
rbm-event/airtel_template             RCS      template_approved -             1748970425558 01kpz85rangx4j0sfwdr000007
rbm-event/airtel_text                 RCS      received  919999999901  1748970365123 MxAirtelText000000000006
rbm-event/google_delivered            RCS      delivered 919999999901  1748959265123 57bed79e-55ba-46fe-b88a-000000000001
rbm-event/google_expired              RCS      expired   919999999901  1748959865123 57bed79e-55ba-46fe-b88a-000000000011
rbm-event/google_failed               RCS      failed    919999999901  1748959385123 57bed79e-55ba-46fe-b88a-000000000003
rbm-event/google_file                 RCS      received  919999999901  1748959685123 MxGoogleFile000000000001
rbm-event/google_is_typing            RCS      is_typing 919999999901  1748959445123 5f0c2f9b-0004-4a50-9a50-1f6f0c2f9b01
rbm-event/google_location             RCS      received  919999999901  1748959745123 MxGoogleLocation00000001
rbm-event/google_read                 RCS      read      919999999901  1748959325123 57bed79e-55ba-46fe-b88a-000000000001
rbm-event/google_revoke_failed        RCS      ttl_expiration_revoke_failed 919999999901  1748959925123 57bed79e-55ba-46fe-b88a-000000000012
rbm-event/google_tap                  RCS      clicked   919999999901  1748959805123 MxGoogleTap0000000000001
rbm-event/google_text                 RCS      received  919999999901  1748959565123 MxGoogleText000000000001
rbm-event/google_text_event_id        RCS      received  919999999901  1748959625123 5f0c2f9b-0007-4a50-9a50-1f6f0c2f9b01
rbm-event/google_unsubscribe          RCS      unsubscribe 919999999901  1748959505123 5f0c2f9b-0005-4a50-9a50-1f6f0c2f9b01
rbm-event/jio_delivered               RCS      delivered 919999999901  1748966465123 ecca1e00-3293-49f9-896e-000000000001
rbm-event/jio_expired                 RCS      expired   919999999901  1748966645123 ecca1e00-3293-49f9-896e-000000000004
rbm-event/jio_failed                  RCS      failed    919999999901  1748966585123 ecca1e00-3293-49f9-896e-000000000003
rbm-event/jio_is_typing               RCS      is_typing 919999999901  1748966705123 MxJioEvent0000000000005
rbm-event/jio_read                    RCS      read      919999999901  1748966525123 ecca1e00-3293-49f9-896e-000000000001
rbm-event/jio_tap                     RCS      clicked   919999999901  1748966885123 MxJioTap000000000000008
rbm-event/jio_text                    RCS      received  919999999901  1748966825123 MxJioText00000000000007
rbm-event/jio_unsubscribe             RCS      unsubscribe 919999999901  1748966765123 account:651e8ec13800f6c7dee587c4:919999999901
rbm-event/vi_delivered                RCS      delivered 919999999901  1748962865123 57bed79e-55ba-46fe-b88a-000000000021
rbm-event/vi_expired                  RCS      expired   919999999901  1748963165123 57bed79e-55ba-46fe-b88a-000000000026
rbm-event/vi_failed                   RCS      failed    919999999901  1748962925123 57bed79e-55ba-46fe-b88a-000000000022
rbm-event/vi_is_typing                RCS      is_typing 919999999901  1748962985123 5f0c2f9b-0023-4a50-9a50-1f6f0c2f9b01
rbm-event/vi_tap                      RCS      clicked   919999999901  1748963045123 MxViTap00001
rbm-event/vi_text                     RCS      received  919999999901  1748963105123 MxViText0001
sms-delivery/delivered                SMS      delivered 919999999901  1764585432000 5031754312
sms-delivery/dlt_failure              SMS      dlt_chain_failure 919999999903  1764585450000 5031754314
sms-delivery/failed                   SMS      failed    919999999902  1764585440000 5031754313
whatsapp-cloud/button                 WHATSAPP clicked   16505551234   1750264384000 wamid.HBgLMTY1MDU1NTEyMzQVAgASGBQzQTRBNjU5OUFFRTAzODEwMTQ002A==
whatsapp-cloud/button_without_number  WHATSAPP clicked   whatsapp:US.13491208655302741918 1750264484000 wamid.HBgLMTY1MDU1NTEyMzQVAgASGBQzQTRBNjU5OUFFRTAzODEwMTQ006A==
whatsapp-cloud/delivered              WHATSAPP delivered 16505551234   1750263775000 wamid.HBgLMTY1MDU1NTEyMzQVAgARGBI3QTREMEFFNzA0RTlDQjIyNUIA
whatsapp-cloud/failed                 WHATSAPP failed    16505551234   1750263774000 wamid.HBgLMTY1MDU1NTEyMzQVAgARGBI1QjA2QUY2MUU0QzZERjk1M0YA
whatsapp-cloud/failed_without_number  WHATSAPP failed    whatsapp:US.13491208655302741918 1750263784000 wamid.HBgLMTY1MDU1NTEyMzQVAgARGBI5QjE2MUU0QzZERjk1M0YwMEIA
whatsapp-cloud/image                  WHATSAPP received  16505551234   1750264400000 wamid.HBgLMTY1MDU1NTEyMzQVAgASGBQzQTRBNjU5OUFFRTAzODEwMTQ009A==
whatsapp-cloud/interactive            WHATSAPP clicked   16505551234   1750264385000 wamid.HBgLMTY1MDU1NTEyMzQVAgASGBQzQTRBNjU5OUFFRTAzODEwMTQ003A==
whatsapp-cloud/interactive_without_number WHATSAPP clicked   whatsapp:US.13491208655302741918 1750264485000 wamid.HBgLMTY1MDU1NTEyMzQVAgASGBQzQTRBNjU5OUFFRTAzODEwMTQ007A==
whatsapp-cloud/location               WHATSAPP received  16505551234   1750264410000 wamid.HBgLMTY1MDU1NTEyMzQVAgASGBQzQTRBNjU5OUFFRTAzODEwMTQ010A==
whatsapp-cloud/number_changed         WHATSAPP received  16505551234   1750264440000 wamid.HBgLMTY1MDU1NTEyMzQVAgASGBQzQTRBNjU5OUFFRTAzODEwMTQ011A==
whatsapp-cloud/reaction               WHATSAPP received  16505551234   1750264386000 wamid.HBgLMTY1MDU1NTEyMzQVAgASGBQzQTRBNjU5OUFFRTAzODEwMTQ004A==
whatsapp-cloud/reaction_without_number WHATSAPP received  whatsapp:US.13491208655302741918 1750264486000 wamid.HBgLMTY1MDU1NTEyMzQVAgASGBQzQTRBNjU5OUFFRTAzODEwMTQ008A==
whatsapp-cloud/read                   WHATSAPP read      16505551234   1750263910000 wamid.HBgLMTY1MDU1NTEyMzQVAgARGBI3QTREMEFFNzA0RTlDQjIyNUIA
whatsapp-cloud/read_without_number    WHATSAPP read      whatsapp:US.13491208655302741918 1750263915000 wamid.HBgLMTY1MDU1NTEyMzQVAgARGBI5QjE2MUU0QzZERjk1M0YwMEIA
whatsapp-cloud/sent                   WHATSAPP sent      16505551234   1750263773000 wamid.HBgLMTY1MDU1NTEyMzQVAgARGBI3QTREMEFFNzA0RTlDQjIyNUIA
whatsapp-cloud/sent_without_number    WHATSAPP sent      whatsapp:US.13491208655302741918 1750263780000 wamid.HBgLMTY1MDU1NTEyMzQVAgARGBI5QjE2MUU0QzZERjk1M0YwMEIA
whatsapp-cloud/text                   WHATSAPP received  16505551234   1750264383000 wamid.HBgLMTY1MDU1NTEyMzQVAgASGBQzQTRBNjU5OUFFRTAzODEwMTQ001A==
whatsapp-cloud/text_without_number    WHATSAPP received  whatsapp:US.13491208655302741918 1750264483000 wamid.HBgLMTY1MDU1NTEyMzQVAgASGBQzQTRBNjU5OUFFRTAzODEwMTQ005A==
";

/// File, third part of the status key, and the other attributes: texts in full, of maps the names.
const DETAILS: &str = r#"
event-webhook/clicked                 #<time>.<digest> request_id=54713f490c2e5d4f639f5192961fb2ce callback_data=7890986 tags=["12"] message_type=Template click={postbackData,suggestionType,text,type} provider=netcore as_sent={last_channel,remarks}
event-webhook/delivered               - request_id=f95e99645268169422abc9cd0ae3a8b7 callback_data=7890986 tags=["12"] message_type=Template provider=netcore as_sent={click_data,last_channel,remarks}
event-webhook/dialer_click            #<time>.<digest> request_id=54713f490c2e5d4f639f5192961fb2ce callback_data=7890986 tags=["12"] message_type=Template click={postbackData,suggestionType,text,type} provider=netcore as_sent={last_channel,remarks}
event-webhook/failed                  - request_id=492b87ba7ce0332234767d7de1ec49f3 callback_data=7890986 tags=["12"] message_type=Template remarks=Number is RCS disabled or Bot is not launched with the number's provider provider=netcore as_sent={last_channel}
event-webhook/not_sent                - request_id=492b87ba7ce0332234767d7de1ec49f3 callback_data=7890986 tags=["12"] message_type=Template remarks=Number is RCS disabled or Bot is not launched with the number's provider provider=netcore as_sent={last_channel}
event-webhook/read                    - request_id=643988d1aee3de27700f105e16b928bf callback_data=7890986 tags=["12"] message_type=Template provider=netcore as_sent={click_data,last_channel,remarks}
event-webhook/reply                   #<time>.<digest> request_id=54713f490c2e5d4f639f5192961fb2ce callback_data=7890986 tags=["12"] message_type=Template click={postbackData,suggestionType,text,type} provider=netcore as_sent={last_channel,remarks}
event-webhook/sent                    - request_id=f95e99645268169422abc9cd0ae3a8b7 callback_data=7890986 tags=["12"] message_type=Template provider=netcore as_sent={click_data,last_channel,remarks}
fallback-sms/clicked                  #<time>.<digest> bot_id=682 request_id=78f6424c827e51db4ebaaccf1211229c tags=["12"] message_type=Template click={postbackData,text,type} provider=netcore as_sent={callbackdata,last_channel,remarks}
fallback-sms/delivered                - bot_id=682 request_id=bc23705a4cc2e5e5275751b30ac5682b callback_data=7890986 tags=["12"] message_type=Text last_channel=RCS provider=netcore as_sent={remarks}
fallback-sms/failed                   - bot_id=682 request_id=bc23705a4cc2e5e5275751b30ac5682b callback_data=7890986 tags=["12"] message_type=Text last_channel=RCS provider=netcore as_sent={remarks}
fallback-sms/sent                     - bot_id=682 request_id=bc23705a4cc2e5e5275751b30ac5682b callback_data=7890986 tags=["12"] message_type=Text last_channel=RCS provider=netcore as_sent={remarks}
delivery-status/delivered             - bot_id=912249757556 pricing={billable,category,pricing_model,type} provider=netcore as_sent={source,status_remark,x-apiheader}
delivery-status/failed                - bot_id=912249757556 remarks=Operator rejected the message provider=netcore as_sent={source,x-apiheader}
delivery-status/read                  - bot_id=919867644673 callback_data=kiran pricing={billable,category,pricing_model,type} source=kiran provider=netcore as_sent={status_remark}
delivery-status/sent                  - bot_id=912249757556 pricing={billable,category,pricing_model,type} provider=netcore as_sent={source,status_remark,x-apiheader}
incoming-webhook/audio                #<time>.<digest> bot_id=fG2uBk2yZaj3TkwN message_type=audio content={userFile} provider=netcore extra={from_name}
incoming-webhook/contact_file         #<time>.<digest> bot_id=fG2uBk2yZaj3TkwN message_type=text content={userFile} provider=netcore extra={from_name}
incoming-webhook/contact_text         #<time>.<digest> bot_id=fG2uBk2yZaj3TkwN message_type=text content={text} provider=netcore extra={from_name}
incoming-webhook/emoji                #<time>.<digest> bot_id=fG2uBk2yZaj3TkwN message_type=text content={text} provider=netcore extra={from_name}
incoming-webhook/gif                  #<time>.<digest> bot_id=fG2uBk2yZaj3TkwN message_type=image content={userFile} provider=netcore extra={from_name}
incoming-webhook/image                #<time>.<digest> bot_id=fG2uBk2yZaj3TkwN message_type=image content={userFile} provider=netcore extra={from_name}
incoming-webhook/java_file            #<time>.<digest> bot_id=fG2uBk2yZaj3TkwN message_type=text content={userFile} provider=netcore extra={from_name}
incoming-webhook/location             #<time>.<digest> bot_id=fG2uBk2yZaj3TkwN message_type=location content={location} provider=netcore extra={from_name}
incoming-webhook/pdf                  #<time>.<digest> bot_id=fG2uBk2yZaj3TkwN message_type=application content={userFile} provider=netcore extra={from_name}
incoming-webhook/sticker              #<time>.<digest> bot_id=fG2uBk2yZaj3TkwN message_type=image content={userFile} provider=netcore extra={from_name}
incoming-webhook/text                 #<time>.<digest> bot_id=fG2uBk2yZaj3TkwN message_type=text content={text} provider=netcore extra={from_name}
incoming-webhook/text_file            #<time>.<digest> bot_id=fG2uBk2yZaj3TkwN message_type=text content={userFile} provider=netcore extra={from_name}
incoming-webhook/url_click            #<time>.<digest> bot_id=fG2uBk2yZaj3TkwN message_type=click click={metadata,postbackData,text,type} in_reply_to=api-337-918983190458-f1f39df91ec6b9e8e078267c7dc549a9-1708673518 provider=netcore extra={from_name}
incoming-webhook/video                #<time>.<digest> bot_id=fG2uBk2yZaj3TkwN message_type=video content={userFile} provider=netcore extra={from_name}
incoming-webhook/word                 #<time>.<digest> bot_id=fG2uBk2yZaj3TkwN message_type=application content={userFile} provider=netcore extra={from_name}
incoming-webhook/xlsx                 #<time>.<digest> bot_id=fG2uBk2yZaj3TkwN message_type=application content={userFile} provider=netcore extra={from_name}
incoming-webhook-whatsapp/answer      #<time>.<digest> message_type=TEXT content={text_type} in_reply_to=gBEGkZlgQyWAAgnHeaqYq0jtJbd provider=netcore extra={context}
incoming-webhook-whatsapp/audio       #<time>.<digest> message_type=AUDIO content={audio_type} provider=netcore
incoming-webhook-whatsapp/button      #<time>.<digest> message_type=BUTTON click={button_type} in_reply_to=859c535b-8d46-46ed-9afb-9082262a8dfb provider=netcore extra={context}
incoming-webhook-whatsapp/button_text #<time>.<digest> message_type=button click={text_type} in_reply_to=859c535b-8d46-46ed-9afb-9082262a8dfb provider=netcore extra={context}
incoming-webhook-whatsapp/document    #<time>.<digest> message_type=DOCUMENT content={document_type} provider=netcore extra={context}
incoming-webhook-whatsapp/image       #<time>.<digest> message_type=IMAGE content={image_type} provider=netcore extra={context}
incoming-webhook-whatsapp/location    #<time>.<digest> message_type=LOCATION content={location_type} provider=netcore extra={context}
incoming-webhook-whatsapp/reaction    #<time>.<digest> message_type=REACTION content={reaction_type} provider=netcore extra={context}
incoming-webhook-whatsapp/text        #<time>.<digest> message_type=TEXT content={text_type} provider=netcore extra={context}
incoming-webhook-whatsapp/video       #<time>.<digest> message_type=VIDEO content={video_type} provider=netcore extra={context}
rcs-callback/blocked_duplicate_status - message_type=text remarks=bloqueado por duplicidade content={text} campaign=Spring offers provider=rcs-gateway extra={direction,event_id,session_id,status,vars} as_sent={timestamp}
rcs-callback/blocked_duplicate_type   - message_type=bloqueado por duplicidade campaign=Spring offers provider=rcs-gateway extra={direction,event_id,session_id,vars} as_sent={message,timestamp}
rcs-callback/blocked_prepaid_account  - message_type=PREPAID_BLOCKED remarks=Limite de créditos da conta atingido 48213 campaign=Spring offers provider=rcs-gateway extra={direction,event_id,session_id,vars} as_sent={timestamp}
rcs-callback/blocked_prepaid_client   - message_type=PREPAID_BLOCKED remarks=Limite de créditos do cliente atingido campaign=Spring offers provider=rcs-gateway extra={direction,event_id,session_id,vars} as_sent={timestamp}
rcs-callback/delivered                - message_type=DELIVERED campaign=Spring offers provider=rcs-gateway extra={direction,event_id,session_id,vars} as_sent={message,timestamp}
rcs-callback/error_502                - message_type=ERROR remarks=Request failed with status code 502: Bad Gateway. campaign=Spring offers provider=rcs-gateway extra={direction,event_id,session_id,vars} as_sent={timestamp}
rcs-callback/error_503                - message_type=ERROR remarks=Request failed with status code 503: Service Unavailable campaign=Spring offers provider=rcs-gateway extra={direction,event_id,session_id,vars} as_sent={timestamp}
rcs-callback/exception_401            - message_type=EXCEPTION remarks=Request failed with status code 401: Failed to fetch the authentication token. campaign=Spring offers provider=rcs-gateway extra={direction,event_id,session_id,vars} as_sent={timestamp}
rcs-callback/exception_403            - message_type=EXCEPTION remarks=Request failed with status code 403: Device does not support RCS. campaign=Spring offers provider=rcs-gateway extra={direction,event_id,session_id,vars} as_sent={timestamp}
rcs-callback/exception_404            - message_type=EXCEPTION remarks=Request failed with status code 404: Device does not support RCS. campaign=Spring offers provider=rcs-gateway extra={direction,event_id,session_id,vars} as_sent={timestamp}
rcs-callback/fallback_sms_delivered   - message_type=DELIVERED campaign=Spring offers provider=rcs-gateway extra={direction,event_id,session_id,vars} as_sent={message,timestamp}
rcs-callback/fallback_sms_sent        - message_type=text content={text} campaign=Spring offers provider=rcs-gateway extra={direction,event_id,session_id,vars} as_sent={timestamp}
rcs-callback/inbound_image            evt-22-in message_type=image content={fileName,fileSizeBytes,fileUri,mimeType} provider=rcs-gateway extra={direction,event_id,session_id,vars} as_sent={campaign_name,timestamp}
rcs-callback/inbound_location         evt-24-in message_type=location content={latitude,longitude} provider=rcs-gateway extra={direction,event_id,session_id,vars} as_sent={campaign_name,timestamp}
rcs-callback/inbound_text             evt-21-in message_type=text content={text} provider=rcs-gateway extra={direction,event_id,session_id,vars} as_sent={campaign_name,timestamp}
rcs-callback/inbound_video            evt-23-in message_type=video content={fileName,fileSizeBytes,fileUri,mimeType} provider=rcs-gateway extra={direction,event_id,session_id,vars} as_sent={campaign_name,timestamp}
rcs-callback/outbound_audio           - message_type=audio content={fileUrl} campaign=Spring offers provider=rcs-gateway extra={direction,event_id,session_id,vars} as_sent={timestamp}
rcs-callback/outbound_basic           - message_type=basic content={text} campaign=Spring offers provider=rcs-gateway extra={direction,event_id,session_id,vars} as_sent={timestamp}
rcs-callback/outbound_carousel        - message_type=carousel content={items,width} campaign=Spring offers provider=rcs-gateway extra={direction,event_id,session_id,vars} as_sent={timestamp}
rcs-callback/outbound_contact         - message_type=contact content={contacts} campaign=Spring offers provider=rcs-gateway extra={direction,event_id,session_id,vars} as_sent={timestamp}
rcs-callback/outbound_document        - message_type=document content={fileName,fileUrl} campaign=Spring offers provider=rcs-gateway extra={direction,event_id,session_id,vars} as_sent={timestamp}
rcs-callback/outbound_image           - message_type=image content={fileUrl,thumbnailUrl} campaign=Spring offers provider=rcs-gateway extra={direction,event_id,session_id,vars} as_sent={timestamp}
rcs-callback/outbound_location        - message_type=location content={label,latitude,longitude} campaign=Spring offers provider=rcs-gateway extra={direction,event_id,session_id,vars} as_sent={timestamp}
rcs-callback/outbound_richCard        - message_type=richCard content={description,media,suggestions,title} campaign=Spring offers provider=rcs-gateway extra={direction,event_id,session_id,vars} as_sent={timestamp}
rcs-callback/outbound_single          - message_type=single content={text} campaign=Spring offers provider=rcs-gateway extra={direction,event_id,session_id,vars} as_sent={timestamp}
rcs-callback/outbound_text            - message_type=text content={text} campaign=Spring offers provider=rcs-gateway extra={direction,event_id,session_id,vars} as_sent={timestamp}
rcs-callback/outbound_video           - message_type=video content={fileUrl,thumbnailUrl} campaign=Spring offers provider=rcs-gateway extra={direction,event_id,session_id,vars} as_sent={timestamp}
rcs-callback/read                     - message_type=READ campaign=Spring offers provider=rcs-gateway extra={direction,event_id,session_id,vars} as_sent={message,timestamp}
rcs-callback/suggestion_link          evt-08-tap-1 message_type=suggestionResponse click={suggestionResponse} campaign=Spring offers provider=rcs-gateway extra={direction,event_id,session_id,vars} as_sent={timestamp}
rcs-callback/suggestion_reply         evt-08-tap-2 message_type=suggestionResponse click={suggestionResponse} campaign=Spring offers provider=rcs-gateway extra={direction,event_id,session_id,vars} as_sent={timestamp}
email-event/bounced                   #<time>.<digest> bot_id=sender@example.com callback_data=UNIQUEID tags=["mytag1"] remarks=Invalid recipient provider=netcore extra={BOUNCE_REASON,BOUNCE_REASONID,BOUNCE_TYPE,MSIZE} as_sent={RESPONSE,TAGS,TRANSID}
email-event/clicked                   #<time>.<digest> bot_id=sender@example.com callback_data=xapi1 tags=["tag1"] click={url} provider=netcore extra={IPADDRESS,MSIZE,USERAGENT} as_sent={RESPONSE,TAGS,TRANSID}
email-event/dropped                   #<time>.<digest> bot_id=sender@example.com callback_data=UNIQUEID tags=["mytag1"] remarks=User suppressed due to unsubscription provider=netcore extra={MSIZE} as_sent={TAGS,TRANSID}
email-event/invalid                   #<time>.<digest> bot_id=sender@example.com callback_data=UNIQUEID tags=["mytag1"] remarks=Invalid email id provider=netcore extra={MSIZE} as_sent={TAGS,TRANSID}
email-event/old_sent                  zVGw3SORRlHOxIBmRpb30A bot_id=fromabc@abc.com remarks=smtp;250 2.0.0 Ok: queued as 824C61FBBB3 provider=netcore extra={CLIENTID,RCPTID,USERAGENT} as_sent={TIMESTAMP}
email-event/opened                    #<time>.<digest> bot_id=info@mydomain.com callback_data=xapi1 tags=["tag1"] opened_by=GoogleImageProxy provider=netcore extra={IPADDRESS,MSIZE,USERAGENT} as_sent={RESPONSE,TAGS,TRANSID}
email-event/opened_by_another         #<time>.<digest> bot_id=info@mydomain.com callback_data=xapi1 tags=["tag1"] opened_by=GoogleImageProxy provider=netcore extra={IPADDRESS,MSIZE,USERAGENT} as_sent={EMAIL,RESPONSE,TAGS,TRANSID}
email-event/sendgrid_click            #<time>.<digest> bot_id=info@mydomain.com tags=["mytag1"] click={url} provider=netcore extra={customargs1,customargs2,msize} as_sent={event,response,tags}
email-event/sendgrid_delivered        mumDX7qjlSUbAULj-pQE3g bot_id=info@mydomain.com tags=["mytag1"] remarks=smtp;250 2.0.0 _SMR_secure92nd.exacttouch.com Ok: queued as D43F43005C2 provider=netcore extra={customargs1,customargs2,msize} as_sent={tags}
email-event/sendgrid_dropped          #<time>.<digest> bot_id=info@mydomain.com tags=["mytag1"] remarks=Email dropped: User suppressed due to unsubscription provider=netcore extra={customargs1,customargs2,msize,reason} as_sent={tags}
email-event/sent                      CCllEt7iXt0lOU5H4i6Dzw bot_id=info@mydomain.com callback_data=UNIQUEID tags=["mytag1"] remarks= - 2.0.0 (success) provider=netcore extra={MSIZE} as_sent={TAGS,TRANSID}
email-event/spam                      #<time>.<digest> bot_id=sender@example.com callback_data=UNIQUEID tags=["mytag1"] provider=netcore extra={IPADDRESS,MSIZE,USERAGENT} as_sent={RESPONSE,TAGS,TRANSID}
email-event/unsubscribed              #<time>.<digest> bot_id=sender@example.com callback_data=UNIQUEID tags=["mytag1"] provider=netcore extra={IPADDRESS,MSIZE,USERAGENT} as_sent={RESPONSE,TAGS,TRANSID}
event-webhook-paytm/sms_delivered     - bot_id=PICOMM remarks=000 provider=paytm-pi as_sent={deliveryTimestamp}
event-webhook-paytm/sms_failed        - bot_id=PICOMM remarks=013 provider=paytm-pi as_sent={deliveryTimestamp}
incoming-webhook-whatsapp/interactive_button #<time>.<digest> bot_id=912249757556 message_type=INTERACTIVE click={interactive_type} in_reply_to=e693eb1d-347e-4b1e-9a54-1f0a3a3f0001 provider=netcore extra={context,from_name}
incoming-webhook-whatsapp/interactive_list #<time>.<digest> bot_id=912249757556 message_type=INTERACTIVE click={interactive_type} provider=netcore extra={context,from_name}
incoming-webhook-whatsapp/text_as_list #<time>.<digest> bot_id=912249757556 message_type=TEXT content={text_type} provider=netcore
incoming-webhook-whatsapp/voice       #<time>.<digest> bot_id=912249757556 message_type=VOICE content={voice_type} provider=netcore
incoming-webhook-whatsapp/without_number #<time>.<digest> bot_id=912249757556 message_type=TEXT content={text_type} provider=netcore extra={context}
incoming-webhook-whatsapp/without_type #<time>.<digest> bot_id=912249757556 provider=netcore extra={context,from_name}
rbm-event/airtel_delivered            - message_type=DELIVERED provider=airtel extra={msgStream,templateId} as_sent={sendTime}
rbm-event/airtel_error                - message_type=INTERNAL_ERROR remarks=Values for all the variables not provided!! provider=airtel extra={error} as_sent={messageContent,sendTime}
rbm-event/airtel_expired              #<time>.<digest> message_type=TTL_EXPIRATION_REVOKED provider=airtel as_sent={sendTime}
rbm-event/airtel_read                 - message_type=READ provider=airtel extra={msgStream,templateId} as_sent={sendTime}
rbm-event/airtel_tap                  #<time>.<digest> message_type=RECEIVED click={contextMessageId,postbackData,text,type} in_reply_to=01kns4smzq7zewfbqy6t000001 provider=airtel extra={msgStream} as_sent={sendTime}
rbm-event/airtel_template             #<time>.<digest> bot_id=airtel_agent message_type=TEMPLATE_APPROVED content={templateId,templateName,templateStatus} provider=airtel extra={messageType,templateId} as_sent={sendTime}
rbm-event/airtel_text                 #<time>.<digest> message_type=RECEIVED content={text,type} provider=airtel extra={msgStream} as_sent={sendTime}
rbm-event/google_delivered            - bot_id=RBM_AGENT_7 message_type=DELIVERED provider=google-rbm extra={eventId} as_sent={sendTime}
rbm-event/google_expired              5f0c2f9b-0011-4a50-9a50-1f6f0c2f9b01 bot_id=RBM_AGENT_7 message_type=TTL_EXPIRATION_REVOKED provider=google-rbm extra={eventId} as_sent={sendTime}
rbm-event/google_failed               - bot_id=RBM_AGENT_7 message_type=FAILED remarks=Too many requests provider=google-rbm extra={eventId} as_sent={sendTime}
rbm-event/google_file                 #<time>.<digest> bot_id=RBM_AGENT_7 content={userFile} provider=google-rbm as_sent={sendTime}
rbm-event/google_is_typing            5f0c2f9b-0004-4a50-9a50-1f6f0c2f9b01 bot_id=RBM_AGENT_7 message_type=IS_TYPING provider=google-rbm extra={eventId} as_sent={sendTime}
rbm-event/google_location             #<time>.<digest> bot_id=RBM_AGENT_7 content={location} provider=google-rbm as_sent={sendTime}
rbm-event/google_read                 - bot_id=RBM_AGENT_7 message_type=READ provider=google-rbm extra={eventId} as_sent={sendTime}
rbm-event/google_revoke_failed        5f0c2f9b-0012-4a50-9a50-1f6f0c2f9b01 bot_id=RBM_AGENT_7 message_type=TTL_EXPIRATION_REVOKE_FAILED provider=google-rbm extra={eventId} as_sent={sendTime}
rbm-event/google_tap                  #<time>.<digest> bot_id=RBM_AGENT_7 click={postbackData,text,type} provider=google-rbm as_sent={sendTime}
rbm-event/google_text                 #<time>.<digest> bot_id=RBM_AGENT_7 content={text} provider=google-rbm as_sent={sendTime}
rbm-event/google_text_event_id        5f0c2f9b-0007-4a50-9a50-1f6f0c2f9b01 bot_id=RBM_AGENT_7 content={text} provider=google-rbm extra={eventId} as_sent={sendTime}
rbm-event/google_unsubscribe          5f0c2f9b-0005-4a50-9a50-1f6f0c2f9b01 bot_id=RBM_AGENT_7 message_type=UNSUBSCRIBE provider=google-rbm extra={eventId} as_sent={sendTime}
rbm-event/jio_delivered               - bot_id=651e8ec13800f6c7dee587c4 message_type=MESSAGE_DELIVERED provider=jio extra={entity,entityType} as_sent={entity.sendTime}
rbm-event/jio_expired                 MxJioEvent0000000000004 bot_id=651e8ec13800f6c7dee587c4 message_type=TTL_EXPIRATION_REVOKED provider=jio extra={entity,entityType} as_sent={entity.sendTime}
rbm-event/jio_failed                  - bot_id=651e8ec13800f6c7dee587c4 message_type=SEND_MESSAGE_FAILURE remarks=The user is not on RCS provider=jio extra={entity,entityType} as_sent={entity.sendTime}
rbm-event/jio_is_typing               MxJioEvent0000000000005 bot_id=651e8ec13800f6c7dee587c4 message_type=IS_TYPING provider=jio extra={entity,entityType} as_sent={entity.sendTime}
rbm-event/jio_read                    - bot_id=651e8ec13800f6c7dee587c4 message_type=MESSAGE_READ provider=jio extra={entity,entityType} as_sent={entity.sendTime}
rbm-event/jio_tap                     #<time>.<digest> bot_id=651e8ec13800f6c7dee587c4 click={plainText,postBack,type} provider=jio extra={entity,entityType} as_sent={entity.sendTime}
rbm-event/jio_text                    #<time>.<digest> bot_id=651e8ec13800f6c7dee587c4 content={text} provider=jio extra={entity,entityType} as_sent={entity.sendTime,entity.suggestionResponse}
rbm-event/jio_unsubscribe             #<time>.<digest> bot_id=651e8ec13800f6c7dee587c4 message_type=UNSUBSCRIBE provider=jio extra={entity,entityType} as_sent={entity.sendTime}
rbm-event/vi_delivered                - message_type=DELIVERED provider=google-rbm extra={eventId} as_sent={sendTime}
rbm-event/vi_expired                  5f0c2f9b-0026-4a50-9a50-1f6f0c2f9b01 message_type=TTL_EXPIRATION_REVOKED provider=google-rbm extra={eventId} as_sent={sendTime}
rbm-event/vi_failed                   - message_type=FAILED remarks=Number of API requests allowed per second exceeded. Please retry provider=google-rbm extra={eventId} as_sent={sendTime}
rbm-event/vi_is_typing                5f0c2f9b-0023-4a50-9a50-1f6f0c2f9b01 message_type=IS_TYPING provider=google-rbm extra={eventId} as_sent={sendTime}
rbm-event/vi_tap                      #<time>.<digest> click={postbackData,text,type} provider=google-rbm as_sent={sendTime}
rbm-event/vi_text                     #<time>.<digest> content={text} provider=google-rbm as_sent={sendTime}
sms-delivery/delivered                - bot_id=NETCOR provider=netcore as_sent={reqid,status}
sms-delivery/dlt_failure              #<time>.<digest> remarks=TM-Chain registration is incomplete provider=netcore extra={circle} as_sent={MSISDN,Status,dlr_time,error,request_ID}
sms-delivery/failed                   - bot_id=NETCOR remarks=Absent subscriber provider=netcore as_sent={reqid,status}
whatsapp-cloud/button                 #<time>.<digest> bot_id=15550783881 message_type=button click={button} in_reply_to=wamid.HBgLMTY1MDU1NTEyMzQVAgARGBI3QTREMEFFNzA0RTlDQjIyNUIA identities=["whatsapp:US.13491208655302741918"] provider=meta extra={context,from,from_user_id} envelope={entry,object}
whatsapp-cloud/button_without_number  #<time>.<digest> bot_id=15550783881 message_type=button click={button} in_reply_to=wamid.HBgLMTY1MDU1NTEyMzQVAgARGBI3QTREMEFFNzA0RTlDQjIyNUIA provider=meta extra={context,from_user_id} envelope={entry,object}
whatsapp-cloud/delivered              - bot_id=15550783881 callback_data=order-8812 pricing={billable,category,pricing_model,type} identities=["whatsapp:US.13491208655302741918"] provider=meta extra={recipient_id,recipient_user_id} envelope={entry,object}
whatsapp-cloud/failed                 - bot_id=15550783881 callback_data=order-8812 remarks=131026 Message undeliverable identities=["whatsapp:US.13491208655302741918"] provider=meta extra={errors,recipient_id,recipient_user_id} envelope={entry,object}
whatsapp-cloud/failed_without_number  - bot_id=15550783881 callback_data=order-8812 remarks=131026 Message undeliverable provider=meta extra={errors,recipient_user_id} envelope={entry,object}
whatsapp-cloud/image                  #<time>.<digest> bot_id=15550783881 message_type=image content={image} identities=["whatsapp:US.13491208655302741918"] provider=meta extra={from,from_user_id} envelope={entry,object}
whatsapp-cloud/interactive            #<time>.<digest> bot_id=15550783881 message_type=interactive click={interactive} in_reply_to=wamid.HBgLMTY1MDU1NTEyMzQVAgARGBI3QTREMEFFNzA0RTlDQjIyNUIA identities=["whatsapp:US.13491208655302741918"] provider=meta extra={context,from,from_user_id} envelope={entry,object}
whatsapp-cloud/interactive_without_number #<time>.<digest> bot_id=15550783881 message_type=interactive click={interactive} in_reply_to=wamid.HBgLMTY1MDU1NTEyMzQVAgARGBI3QTREMEFFNzA0RTlDQjIyNUIA provider=meta extra={context,from_user_id} envelope={entry,object}
whatsapp-cloud/location               #<time>.<digest> bot_id=15550783881 message_type=location content={location} identities=["whatsapp:US.13491208655302741918"] provider=meta extra={from,from_user_id} envelope={entry,object}
whatsapp-cloud/number_changed         #<time>.<digest> bot_id=15550783881 message_type=system content={system} identities=["whatsapp:US.13491208655302741918","16505555678"] provider=meta extra={from,from_user_id} envelope={entry,object}
whatsapp-cloud/reaction               #<time>.<digest> bot_id=15550783881 message_type=reaction content={reaction} in_reply_to=wamid.HBgLMTY1MDU1NTEyMzQVAgARGBI3QTREMEFFNzA0RTlDQjIyNUIA identities=["whatsapp:US.13491208655302741918"] provider=meta extra={from,from_user_id} envelope={entry,object}
whatsapp-cloud/reaction_without_number #<time>.<digest> bot_id=15550783881 message_type=reaction content={reaction} in_reply_to=wamid.HBgLMTY1MDU1NTEyMzQVAgARGBI3QTREMEFFNzA0RTlDQjIyNUIA provider=meta extra={from_user_id} envelope={entry,object}
whatsapp-cloud/read                   - bot_id=15550783881 callback_data=order-8812 identities=["whatsapp:US.13491208655302741918"] provider=meta extra={recipient_id,recipient_user_id} envelope={entry,object}
whatsapp-cloud/read_without_number    - bot_id=15550783881 callback_data=order-8812 provider=meta extra={recipient_user_id} envelope={entry,object}
whatsapp-cloud/sent                   - bot_id=15550783881 callback_data=order-8812 pricing={billable,category,pricing_model,type} identities=["whatsapp:US.13491208655302741918"] provider=meta extra={recipient_id,recipient_user_id} envelope={entry,object}
whatsapp-cloud/sent_without_number    - bot_id=15550783881 callback_data=order-8812 pricing={billable,category,pricing_model,type} provider=meta extra={recipient_user_id} envelope={entry,object}
whatsapp-cloud/text                   #<time>.<digest> bot_id=15550783881 message_type=text content={text} identities=["whatsapp:US.13491208655302741918"] provider=meta extra={from,from_user_id} envelope={entry,object}
whatsapp-cloud/text_without_number    #<time>.<digest> bot_id=15550783881 message_type=text content={text} provider=meta extra={from_user_id} envelope={entry,object}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn every_sample_is_stored_as_its_documented_event() {
    let server = Server::start().await;
    let (mut events, mut details) = (String::new(), String::new());
    let mut seen = BTreeSet::new();
    for sample in every_sample() {
        let (name, (id, key)) = (sample.name.as_str(), sample.key());
        let answer = server.post(sample.function, sample.body.clone()).await;
        assert_eq!(answer.counts(), [1, 1, 0, 0, 0], "{name}");

        let record = record_of(&sample.body);
        assert!(
            seen.insert((id.clone(), key.clone())),
            "{name} has the key of another sample"
        );
        let items = server.storage().items_of(&id).await;
        let item = items
            .get(&key)
            .unwrap_or_else(|| panic!("{name}: no {key} in {:?}", items.keys()));

        assert_eq!(rebuilt(item), record, "{name}");
        assert!(item.contains_key(item::LATE), "{name} happened years ago");
        if sample.is_providers_own {
            let bytes = item::size(item);
            assert!(bytes <= 1024, "{name} has an item of {bytes} bytes");
            assert!((price(&server, item).await - 1.0).abs() < f64::EPSILON, "{name}");
        }
        events.push_str(&event_line(name, &id, item));
        details.push_str(&detail_line(name, &key, item));

        let again = server.post(sample.function, sample.body).await;
        assert_eq!(again.counts(), [1, 0, 1, 0, 0], "{name}");
    }
    assert_lines(&events, EVENTS);
    assert_lines(&details, DETAILS);
    assert_eq!(server.storage().depths().await, [0, 0]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_body_can_contain_all_samples_of_its_function() {
    let server = Server::start().await;
    let records: Vec<Value> = samples("event-webhook")
        .iter()
        .map(|sample| Value::Object(record_of(&sample.body)))
        .collect();
    let all = records.len();
    let body = Value::Array(records).to_string();
    assert_eq!(
        server.post("event-webhook", body.clone()).await.counts(),
        [all, all, 0, 0, 0]
    );
    assert_eq!(
        server.post("event-webhook", body).await.counts(),
        [all, 0, all, 0, 0]
    );
    server.stop().await;
}

fn event_line(name: &str, id: &str, item: &Item) -> String {
    let text = |name: &str| item.get(name).map_or("-", |value| value.as_s().unwrap());
    assert_eq!(text("message_id"), id);
    format!(
        "{name:<37} {:<8} {:<9} {:<13} {} {id}\n",
        text("channel"),
        text("status"),
        text("recipient"),
        item::number_at(item, "event_time").unwrap()
    )
}

/// The other attributes: texts in full, of maps the names, of lists the JSON.
fn detail_line(name: &str, key: &str, item: &Item) -> String {
    let stored = item::to_json(item);
    let third = key.splitn(3, '#').nth(2).map_or("-", |third| {
        if third.contains('.') {
            "#<time>.<digest>"
        } else {
            third
        }
    });
    let mut line = format!("{name:<37} {third}");
    let others = [
        item::PROVIDER,
        item::EXTRA,
        item::AS_SENT,
        item::ENVELOPE,
        item::UNDATED,
        item::VERBATIM,
    ];
    for attribute in Attribute::ALL.map(Attribute::name).iter().chain(&others) {
        let Some(value) = stored.get(*attribute) else {
            continue;
        };
        let shown = match value {
            Value::String(text) => text.clone(),
            Value::Object(fields) => {
                let names: Vec<&str> = fields.keys().map(String::as_str).collect();
                format!("{{{}}}", names.join(","))
            }
            other => other.to_string(),
        };
        let _ = write!(line, " {attribute}={shown}");
    }
    line + "\n"
}

fn assert_lines(actual: &str, expected: &str) {
    let (actual, expected): (BTreeSet<&str>, BTreeSet<&str>) =
        (actual.lines().collect(), expected.trim().lines().collect());
    let differing: Vec<String> = (expected
        .difference(&actual)
        .map(|line| format!("expected {line}")))
    .chain(
        actual
            .difference(&expected)
            .map(|line| format!("  actual {line}")),
    )
    .collect();
    assert!(differing.is_empty(), "\n{}", differing.join("\n"));
}

/// Write units of the table for replacing an item by itself.
async fn price(server: &Server, item: &Item) -> f64 {
    let written = server
        .storage()
        .aws()
        .dynamodb
        .put_item()
        .table_name(EVENTS_TABLE)
        .set_item(Some(item.clone()))
        .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
        .send()
        .await
        .unwrap();
    let consumed = written.consumed_capacity().unwrap();
    consumed.table().unwrap().capacity_units().unwrap()
}
