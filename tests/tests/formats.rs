//! Every known body, from HTTP to the table and back: each sample of a provider becomes the event
//! it tells of, and the provider's record can be put together again from the item.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that meets the unexpected is to fail"
)]

mod server;

use std::{collections::BTreeSet, fmt::Write as _, fs};

use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use server::{Instance, fixture, fixtures};
use webhook_ingest::{
    event::Attribute,
    events_table::item::{self, Arrival, Item},
    provider::{self, FormatId, netcore_incoming, whatsapp_incoming},
};

/// The folders of samples, the function each is posted to, and whether the samples are the
/// provider's own (the others are composed from its documentation).
const FOLDERS: [(&str, &str, bool); 6] = [
    ("event-webhook", "event-webhook", true),
    ("fallback-sms", "fallback-sms", true),
    ("delivery-status", "delivery-status", true),
    ("incoming-webhook", "incoming-webhook", true),
    ("incoming-webhook-whatsapp", "incoming-webhook", false),
    ("rcs-callback", "rcs-callback", false),
];

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
"#;

#[tokio::test(flavor = "multi_thread")]
async fn every_sample_is_stored_as_the_event_it_tells_of() {
    let instance = Instance::start().await;
    let (mut events, mut details) = (String::new(), String::new());
    let mut seen = BTreeSet::new();
    let mut own_samples = 0;
    for (folder, function, is_providers_own) in FOLDERS {
        for name in samples(folder) {
            let body = fixture(&name);
            let answer = instance.post(function, body.clone()).await;
            assert_eq!(answer.counts(), [1, 1, 0, 0, 0], "{name}");

            let record = record_of(&body);
            let id = ["message_id", "ncmessage_id", "reference"]
                .iter()
                .find_map(|field| record.get(*field)?.as_str())
                .unwrap();
            let items = instance.items(id).await;
            let (key, item) = items
                .into_iter()
                .find(|(key, _)| seen.insert((id.to_owned(), key.clone())))
                .unwrap_or_else(|| panic!("{name} made no item of its own"));

            assert_eq!(rebuilt(&item), record, "{name}");
            assert!(item.contains_key(item::LATE), "{name} happened years ago");
            if is_providers_own {
                own_samples += 1;
                let bytes = item::size(&item);
                assert!(bytes <= 1024, "{name} makes an item of {bytes} bytes");
                assert!(
                    (price(&instance, &item).await - 1.0).abs() < f64::EPSILON,
                    "{name}"
                );
            }
            events.push_str(&event_line(&name, id, &item));
            details.push_str(&detail_line(&name, &key, &item));

            let again = instance.post(function, body).await;
            assert_eq!(again.counts(), [1, 0, 1, 0, 0], "{name}");
        }
    }
    assert_eq!(own_samples, 32);
    assert_lines(&events, EVENTS);
    assert_lines(&details, DETAILS);
    assert_eq!(instance.depths().await, [0, 0]);
    instance.stop().await;
}

/// Bodies nobody documents but somebody sends: `(what, function, body, "channel status
/// recipient event-time")`. Each is one record with the message id `m`.
#[rustfmt::skip]
fn liberties() -> Vec<(&'static str, &'static str, Value, &'static str)> {
    let event = |fields: Value| with(json!({"message_id": "m", "mobile": "919209209291", "status": "Sent", "channel": "RCS", "event_time": 1_704_876_828}), fields);
    let status = |fields: Value| with(json!({"ncmessage_id": "m", "recipient": "918657856504", "status": "sent", "received_at": "1764585991"}), fields);
    let incoming = |fields: Value| with(json!({"message_id": "m", "from": "fG2uBk2yZaj3TkwN", "to": "+918983190458", "received_at": 1_708_675_048_204_i64, "message_type": "text", "message_details": {"text": "hi"}}), fields);
    let whatsapp = |fields: Value| with(json!({"message_id": "m", "from": "919960432580", "received_at": "1567090835", "message_type": "TEXT", "text_type": {"text": "hello"}}), fields);
    let callback = |fields: Value| with(json!({"reference": "m", "event_id": "e", "direction": "outbound", "user_id": "5511987654321", "timestamp": "2025-06-03T14:22:05.123Z", "channel": "RCS", "type": "text", "message": {"text": "oi"}}), fields);
    vec![
        ("as documented", "event-webhook", json!([event(json!({}))]), "RCS sent 919209209291 1704876828000"),
        ("one object without a list", "event-webhook", event(json!({})), "RCS sent 919209209291 1704876828000"),
        ("seconds in a string", "event-webhook", json!([event(json!({"event_time": "1704876828"}))]), "RCS sent 919209209291 1704876828000"),
        ("milliseconds", "event-webhook", json!([event(json!({"event_time": 1_704_876_828_123_i64}))]), "RCS sent 919209209291 1704876828123"),
        ("milliseconds in a string", "event-webhook", json!([event(json!({"event_time": "1704876828123"}))]), "RCS sent 919209209291 1704876828123"),
        ("seconds with a fraction", "event-webhook", json!([event(json!({"event_time": 1_704_876_828.25}))]), "RCS sent 919209209291 1704876828250"),
        ("an ISO time", "event-webhook", json!([event(json!({"event_time": "2024-01-10T08:53:48Z"}))]), "RCS sent 919209209291 1704876828000"),
        ("an ISO time with an offset", "event-webhook", json!([event(json!({"event_time": "2024-01-10T14:23:48+05:30"}))]), "RCS sent 919209209291 1704876828000"),
        ("a number as the id", "event-webhook", json!([event(json!({"message_id": 7}))]), "RCS sent 919209209291 1704876828000"),
        ("a number as the number", "event-webhook", json!([event(json!({"mobile": 919_209_209_291_i64}))]), "RCS sent 919209209291 1704876828000"),
        ("a number with a plus and spaces", "event-webhook", json!([event(json!({"mobile": "+91 92092-09291"}))]), "RCS sent 919209209291 1704876828000"),
        ("no number", "event-webhook", json!([event(json!({"mobile": ""}))]), "RCS sent - 1704876828000"),
        ("no field for the number", "event-webhook", json!([without(event(json!({})), "mobile")]), "RCS sent - 1704876828000"),
        ("a status in capitals", "event-webhook", json!([event(json!({"status": "DELIVERED"}))]), "RCS delivered 919209209291 1704876828000"),
        ("a status in one word", "event-webhook", json!([event(json!({"status": "NotSent"}))]), "RCS not_sent 919209209291 1704876828000"),
        ("the documented «Not Sent»", "event-webhook", json!([event(json!({"status": "Not Sent"}))]), "RCS not_sent 919209209291 1704876828000"),
        ("a status with spaces around it", "event-webhook", json!([event(json!({"status": " read\n"}))]), "RCS read 919209209291 1704876828000"),
        ("a status nobody listed", "event-webhook", json!([event(json!({"status": "Template Paused"}))]), "RCS template_paused 919209209291 1704876828000"),
        ("a status in another script", "event-webhook", json!([event(json!({"status": "वितरित"}))]), "RCS वितरित 919209209291 1704876828000"),
        ("a channel in small letters", "event-webhook", json!([event(json!({"channel": "sms"}))]), "SMS sent 919209209291 1704876828000"),
        ("a channel nobody listed", "event-webhook", json!([event(json!({"channel": "Viber"}))]), "VIBER sent 919209209291 1704876828000"),
        ("no channel", "event-webhook", json!([without(event(json!({})), "channel")]), "RCS sent 919209209291 1704876828000"),
        ("SMS events at the RCS function", "event-webhook", json!([event(json!({"channel": "SMS", "last_channel": "RCS"}))]), "SMS sent 919209209291 1704876828000"),
        ("RCS events at the SMS function", "fallback-sms", json!([event(json!({}))]), "RCS sent 919209209291 1704876828000"),
        ("null for what is empty", "event-webhook", json!([event(json!({"tags": null, "remarks": null, "click_data": null, "nc_bot_id": null}))]), "RCS sent 919209209291 1704876828000"),
        ("values of other types", "event-webhook", json!([event(json!({"tags": "12", "nc_bot_id": 682, "requestid": true, "callbackdata": {"a": [1]}, "click_data": "tap"}))]), "RCS sent 919209209291 1704876828000"),
        ("numbers among the tags", "event-webhook", json!([event(json!({"tags": [12, "13", null, {"x": 1}]}))]), "RCS sent 919209209291 1704876828000"),
        ("fields nobody listed", "event-webhook", json!([event(json!({"carrier": {"mcc": 404, "names": ["Jio", ""]}, "recipient": "x", "extra": {}, "late": false, "": null}))]), "RCS sent 919209209291 1704876828000"),
        ("as documented", "delivery-status", json!({"delivery_status": [status(json!({}))]}), "WHATSAPP sent 918657856504 1764585991000"),
        ("the time as an integer", "delivery-status", json!({"delivery_status": [status(json!({"received_at": 1_764_585_991}))]}), "WHATSAPP sent 918657856504 1764585991000"),
        ("one object in the envelope", "delivery-status", json!({"delivery_status": status(json!({}))}), "WHATSAPP sent 918657856504 1764585991000"),
        ("a list without the envelope", "delivery-status", json!([status(json!({}))]), "WHATSAPP sent 918657856504 1764585991000"),
        ("one object without the envelope", "delivery-status", status(json!({})), "WHATSAPP sent 918657856504 1764585991000"),
        ("fields beside the envelope", "delivery-status", json!({"account": {"id": 7}, "delivery_status": [status(json!({}))], "v": 2}), "WHATSAPP sent 918657856504 1764585991000"),
        ("a click", "delivery-status", json!({"delivery_status": [status(json!({"status": "Clicked", "button": {"text": "Shop"}}))]}), "WHATSAPP clicked 918657856504 1764585991000"),
        ("a price in words", "delivery-status", json!({"delivery_status": [status(json!({"pricing": "free", "phoneNumber": 912_249_757_556_i64}))]}), "WHATSAPP sent 918657856504 1764585991000"),
        ("another channel", "delivery-status", json!({"delivery_status": [status(json!({"channel": "rcs"}))]}), "RCS sent 918657856504 1764585991000"),
        ("as documented", "incoming-webhook", json!([incoming(json!({}))]), "RCS received 918983190458 1708675048204"),
        ("one object without a list", "incoming-webhook", incoming(json!({})), "RCS received 918983190458 1708675048204"),
        ("no plus before the number", "incoming-webhook", json!([incoming(json!({"to": "918983190458"}))]), "RCS received 918983190458 1708675048204"),
        ("the person in «from»", "incoming-webhook", json!([incoming(json!({"from": "+918983190458", "to": "fG2uBk2yZaj3TkwN"}))]), "RCS received 918983190458 1708675048204"),
        ("the person in «from» and no «to»", "incoming-webhook", json!([without(incoming(json!({"from": "918983190458"})), "to")]), "RCS received 918983190458 1708675048204"),
        ("seconds in a string", "incoming-webhook", json!([incoming(json!({"received_at": "1708675048"}))]), "RCS received 918983190458 1708675048000"),
        ("an ISO time without an offset", "incoming-webhook", json!([incoming(json!({"received_at": "2024-02-23T07:57:28.204"}))]), "RCS received 918983190458 1708675048204"),
        ("details in words", "incoming-webhook", json!([incoming(json!({"message_details": "hi"}))]), "RCS received 918983190458 1708675048204"),
        ("no details", "incoming-webhook", json!([incoming(json!({"message_details": {}}))]), "RCS received 918983190458 1708675048204"),
        ("a tap beside a text", "incoming-webhook", json!([incoming(json!({"message_details": {"text": "hi", "suggestionResponse": {"metadata": {"msgId": "out-1"}, "type": "REPLY"}}}))]), "RCS clicked 918983190458 1708675048204"),
        ("a tap whose metadata is no JSON", "incoming-webhook", json!([incoming(json!({"message_details": {"suggestionResponse": {"metadata": "{", "type": "REPLY"}}}))]), "RCS clicked 918983190458 1708675048204"),
        ("a tap beside what is empty", "incoming-webhook", json!([incoming(json!({"message_details": {"text": null, "userFile": {}, "suggestionResponse": {"type": "REPLY"}}}))]), "RCS clicked 918983190458 1708675048204"),
        ("a tap that is null", "incoming-webhook", json!([incoming(json!({"message_details": {"suggestionResponse": null}}))]), "RCS received 918983190458 1708675048204"),
        ("as documented", "incoming-webhook", json!({"incoming_message": [whatsapp(json!({}))]}), "WHATSAPP received 919960432580 1567090835000"),
        ("one object in the envelope", "incoming-webhook", json!({"incoming_message": whatsapp(json!({}))}), "WHATSAPP received 919960432580 1567090835000"),
        ("a list without the envelope", "incoming-webhook", json!([whatsapp(json!({}))]), "WHATSAPP received 919960432580 1567090835000"),
        ("milliseconds", "incoming-webhook", json!({"incoming_message": [whatsapp(json!({"received_at": 1_567_090_835_999_i64}))]}), "WHATSAPP received 919960432580 1567090835999"),
        ("a kind nobody listed", "incoming-webhook", json!({"incoming_message": [whatsapp(json!({"message_type": "ORDER", "order_type": {"items": [1]}}))]}), "WHATSAPP received 919960432580 1567090835000"),
        ("small letters", "incoming-webhook", json!({"incoming_message": [whatsapp(json!({"message_type": "button"}))]}), "WHATSAPP clicked 919960432580 1567090835000"),
        ("a context in words", "incoming-webhook", json!({"incoming_message": [whatsapp(json!({"context": "none"}))]}), "WHATSAPP received 919960432580 1567090835000"),
        ("as documented", "rcs-callback", callback(json!({})), "RCS sent 5511987654321 1748960525123"),
        ("a list of one", "rcs-callback", json!([callback(json!({}))]), "RCS sent 5511987654321 1748960525123"),
        ("milliseconds", "rcs-callback", callback(json!({"timestamp": 1_748_960_525_123_i64})), "RCS sent 5511987654321 1748960525123"),
        ("small letters", "rcs-callback", callback(json!({"type": "delivered", "message": null})), "RCS delivered 5511987654321 1748960525123"),
        ("other spellings", "rcs-callback", callback(json!({"type": "RICH_CARD", "direction": "Outbound"})), "RCS sent 5511987654321 1748960525123"),
        ("an answer in capitals", "rcs-callback", callback(json!({"type": "TEXT", "direction": "INBOUND"})), "RCS received 5511987654321 1748960525123"),
        ("a type nobody listed", "rcs-callback", callback(json!({"type": "IS_TYPING", "message": null})), "RCS is_typing 5511987654321 1748960525123"),
        ("a failure that is an object", "rcs-callback", callback(json!({"type": "EXCEPTION", "message": {"code": 403}})), "RCS failed 5511987654321 1748960525123"),
        ("a failure without words", "rcs-callback", callback(json!({"type": "ERROR", "message": null})), "RCS failed 5511987654321 1748960525123"),
        ("a content in words", "rcs-callback", callback(json!({"message": "oi"})), "RCS sent 5511987654321 1748960525123"),
        ("an empty block", "rcs-callback", callback(json!({"status": ""})), "RCS sent 5511987654321 1748960525123"),
        ("a block with words for the message", "rcs-callback", callback(json!({"status": "bloqueado por duplicidade", "message": "oi"})), "RCS blocked 5511987654321 1748960525123"),
        ("no event id", "rcs-callback", without(callback(json!({"type": "suggestionResponse"})), "event_id"), "RCS clicked 5511987654321 1748960525123"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_read_liberally() {
    let instance = Instance::start().await;
    for (number, (what, function, mut body, expected)) in liberties().into_iter().enumerate() {
        let what = format!("{function}: {what}");
        let id = unique_id(&mut body, number);
        let answer = instance.post(function, body.to_string()).await;
        assert_eq!(answer.counts(), [1, 1, 0, 0, 0], "{what}");
        let item = instance.item(&id).await;
        let text = |name: &str| item.get(name).map_or("-", |value| value.as_s().unwrap());
        assert_eq!(
            format!(
                "{} {} {} {}",
                text("channel"),
                text("status"),
                text("recipient"),
                item::number_at(&item, "event_time").unwrap()
            ),
            expected,
            "{what}"
        );
        assert_eq!(Value::Object(rebuilt(&item)), record_in(&body), "{what}");
        let again = instance.post(function, body.to_string()).await;
        assert_eq!(again.counts(), [1, 0, 1, 0, 0], "{what}");
    }
    instance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_listed_is_kept_under_its_own_name() {
    let instance = Instance::start().await;
    let body = json!({"delivery_status": [{
        "ncmessage_id": "x-1", "status": "Template Paused", "received_at": "1764585991", "recipient": "918657856504",
        "quality": {"score": 0.25, "tags": ["a", null]},
    }], "account": "acme"});
    assert_eq!(
        instance.post("delivery-status", body.to_string()).await.counts(),
        [1, 1, 0, 0, 0]
    );
    let stored = item::to_json(&instance.item("x-1").await);
    assert_eq!(stored["status"], "template_paused");
    assert_eq!(
        stored["extra"],
        json!({"quality": {"score": 0.25, "tags": ["a", null]}})
    );
    assert_eq!(stored["as_sent"], json!({"status": "Template Paused"}));
    assert_eq!(stored["envelope"], json!({"account": "acme"}));
    instance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_order_of_fields_makes_no_other_event() {
    let instance = Instance::start().await;
    for (function, one, other) in [
        (
            "incoming-webhook",
            r#"{"incoming_message":[{"message_id":"o-1","from":"919960432580","received_at":"1567090835","message_type":"IMAGE","image_type":{"id":"7","caption":""}}]}"#,
            r#"{"incoming_message":[{"image_type":{"caption":"","id":"7"},"message_type":"IMAGE","received_at":"1567090835","from":"919960432580","message_id":"o-1"}]}"#,
        ),
        (
            "event-webhook",
            r#"[{"message_id":"o-2","status":"Clicked","channel":"RCS","event_time":1704877756,"click_data":{"type":"ACTION","text":"Visit"},"tags":["12"],"remarks":""}]"#,
            r#"[{"tags":["12"],"click_data":{"text":"Visit","type":"ACTION"},"event_time":1704877756,"channel":"RCS","status":"Clicked","message_id":"o-2"}]"#,
        ),
    ] {
        assert_eq!(instance.post(function, one).await.counts(), [1, 1, 0, 0, 0]);
        assert_eq!(instance.post(function, other).await.counts(), [1, 0, 1, 0, 0]);
    }
    instance.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_body_may_hold_every_sample_of_its_function() {
    let instance = Instance::start().await;
    let records: Vec<Value> = samples("event-webhook")
        .iter()
        .map(|name| Value::Object(record_of(&fixture(name))))
        .collect();
    let all = records.len() as u64;
    let body = Value::Array(records).to_string();
    assert_eq!(
        instance.post("event-webhook", body.clone()).await.counts(),
        [all, all, 0, 0, 0]
    );
    assert_eq!(
        instance.post("event-webhook", body).await.counts(),
        [all, 0, all, 0, 0]
    );
    instance.stop().await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn fields_nobody_listed_come_back_as_they_were(
        base in 0..5_usize,
        extra in prop::collection::btree_map("[a-z_#. ]{0,12}|\\PC{1,6}", any_value(), 0..6),
    ) {
        let (format, mut record) = base_record(base);
        for (name, value) in extra {
            record.entry(name).or_insert(value);
        }
        let text = Value::Object(record.clone()).to_string();
        let event = read(format, &text);
        // Of the listed fields only the block of a gateway's callback could make a record unreadable.
        prop_assert!(event.is_ok(), "{text}");
        prop_assert_eq!(there_and_back(event.unwrap()), record);
    }

    #[test]
    fn whatever_a_listed_field_holds_comes_back_or_is_refused(
        base in 0..5_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop::option::of(any_value())), 1..4),
    ) {
        let (format, mut record) = base_record(base);
        for (which, value) in changes {
            let name = record.keys().nth(which.index(record.len())).unwrap().clone();
            match value {
                Some(value) => record.insert(name, value),
                None if record.len() > 1 => record.remove(&name),
                None => None,
            };
        }
        let text = Value::Object(record.clone()).to_string();
        if let Ok(event) = read(format, &text) {
            prop_assert_eq!(there_and_back(event), record);
        }
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (-1000..1000_i32).prop_map(|n| Value::from(f64::from(n) / 8.0)),
        "\\PC{0,12}".prop_map(Value::from),
        "[0-9+]{0,14}".prop_map(Value::from),
        Just(Value::from("2025-06-03T14:22:05.123Z")),
        Just(Value::from("")),
    ];
    leaf.prop_recursive(5, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(
                prop_oneof![
                    "\\PC{0,6}".boxed(),
                    Just("suggestionResponse".to_owned()).boxed(),
                    Just("metadata".to_owned()).boxed(),
                    Just("message_id".to_owned()).boxed(),
                ],
                inner,
                0..5
            )
            .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn base_record(which: usize) -> (FormatId, Map<String, Value>) {
    let name = [
        "event-webhook/clicked",
        "incoming-webhook/url_click",
        "delivery-status/read",
        "incoming-webhook-whatsapp/button",
        "rcs-callback/exception_403",
    ][which];
    let mut record = record_of(&fixture(name));
    // Absent in this sample, and of consequence where it is present.
    if which == 4 {
        record.insert("status".to_owned(), Value::Null);
    }
    (provider::ALL[which], record)
}

fn read(
    format: FormatId,
    text: &str,
) -> Result<webhook_ingest::event::Event, webhook_ingest::record::Unreadable> {
    // As the function that takes both reads them.
    if format == &netcore_incoming::FORMAT || format == &whatsapp_incoming::FORMAT {
        provider::read(&[&netcore_incoming::FORMAT, &whatsapp_incoming::FORMAT], text)
    } else {
        provider::read(&[format], text)
    }
}

fn there_and_back(event: webhook_ingest::event::Event) -> Map<String, Value> {
    let arrival = Arrival {
        at: 1_767_225_600_000,
        retention_days: 180,
        late_after_hours: 72,
    };
    rebuilt(&item::build(event, arrival).unwrap())
}

/// The provider's record, put together from its item.
fn rebuilt(item: &Item) -> Map<String, Value> {
    provider::rebuild(&item::event(item).unwrap())
}

/// The one record of a body.
fn record_of(body: &[u8]) -> Map<String, Value> {
    match record_in(&serde_json::from_slice(body).unwrap()) {
        Value::Object(record) => record,
        other => panic!("{other} is no record"),
    }
}

fn record_in(body: &Value) -> Value {
    let inside = ["delivery_status", "incoming_message"]
        .iter()
        .find_map(|envelope| body.get(*envelope))
        .unwrap_or(body);
    match inside {
        Value::Array(records) => {
            assert_eq!(records.len(), 1);
            records[0].clone()
        }
        record => record.clone(),
    }
}

/// Gives the body's record an id of its own; a number stays one.
fn unique_id(body: &mut Value, number: usize) -> String {
    let inside = ["/delivery_status", "/incoming_message"]
        .into_iter()
        .find(|envelope| body.pointer(envelope).is_some())
        .unwrap_or("");
    let record = body.pointer_mut(inside).unwrap();
    let record = if record.is_array() { &mut record[0] } else { record };
    for field in ["message_id", "ncmessage_id", "reference"] {
        match record.get_mut(field) {
            Some(Value::String(id)) => *id = format!("liberty-{number}"),
            Some(id @ Value::Number(_)) => *id = json!(1000 + number),
            _ => continue,
        }
        return record[field]
            .as_str()
            .map_or_else(|| record[field].to_string(), str::to_owned);
    }
    panic!("{body} has no id")
}

fn with(mut record: Value, fields: Value) -> Value {
    if let (Value::Object(record), Value::Object(fields)) = (&mut record, fields) {
        record.extend(fields);
    }
    record
}

fn without(mut record: Value, field: &str) -> Value {
    record.as_object_mut().unwrap().remove(field);
    record
}

fn samples(folder: &str) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(fixtures().join(folder))
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            format!("{folder}/{}", path.file_stem().unwrap().to_str().unwrap())
        })
        .collect();
    names.sort();
    names
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

/// The other attributes: texts in full, of maps and lists the names or the length.
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
    let (actual, expected): (Vec<&str>, Vec<&str>) =
        (actual.lines().collect(), expected.trim().lines().collect());
    let differing: Vec<String> = (0..actual.len().max(expected.len()))
        .filter(|i| actual.get(*i) != expected.get(*i))
        .map(|i| format!("expected {:?}\n  actual {:?}", expected.get(i), actual.get(i)))
        .collect();
    assert!(differing.is_empty(), "\n{}", differing.join("\n"));
}

/// Write units of an item for the table alone, written over itself.
async fn price(instance: &Instance, item: &Item) -> f64 {
    let written = instance
        .aws
        .dynamodb
        .put_item()
        .table_name(&instance.server.local.place.events_table)
        .set_item(Some(item.clone()))
        .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
        .send()
        .await
        .unwrap();
    let consumed = written.consumed_capacity().unwrap();
    consumed.table().unwrap().capacity_units().unwrap()
}
