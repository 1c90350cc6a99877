//! The providers' sample bodies, one record each, and the keys of their events in the events table.

use std::path::{Path, PathBuf};

use crate::{fixtures::receiver_names, storage::Key};

/// Folders with samples that are composed from documentation, or that resellers published. The provider published
/// the others.
const COMPOSED: [&str; 7] = [
    "email-event",
    "event-webhook-paytm",
    "incoming-webhook-whatsapp",
    "rbm-event",
    "rcs-callback",
    "sms-delivery",
    "whatsapp-cloud",
];

/// A sample body.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Its folder and name, as [`sample`] takes them: `event-webhook/sent`.
    pub name: String,
    /// The function that receives it.
    pub function: &'static str,
    /// Whether the provider published it.
    pub is_providers_own: bool,
    /// The body, as in its file.
    pub body: Vec<u8>,
}

impl Sample {
    /// The message id and the status key of its event.
    pub fn key(&self) -> Key {
        let line = KEYS
            .lines()
            .find_map(|line| line.strip_prefix(&self.name)?.strip_prefix(' '));
        let mut words = line
            .unwrap_or_else(|| panic!("no key of {}", self.name))
            .split_whitespace();
        let mut word = || words.next().expect("two words").to_owned();
        (word(), word())
    }
}

/// Every sample, sorted by name. A folder belongs to the function whose name begins its name.
pub fn every_sample() -> Vec<Sample> {
    let mut samples: Vec<Sample> = Vec::new();
    for folder in names_in(&root()) {
        let function = receiver_names().find(|function| folder.starts_with(*function));
        let Some(function) = function else { continue };
        samples.extend(names_in(&root().join(&folder)).into_iter().map(|file| {
            let name = format!("{folder}/{}", file.trim_end_matches(".json"));
            Sample {
                body: sample(&name),
                name,
                function,
                is_providers_own: !COMPOSED.contains(&folder.as_str()),
            }
        }));
    }
    samples
}

/// The names in a folder, sorted.
fn names_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder of samples");
    let mut names: Vec<String> = entries
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}

/// The samples that a function receives.
pub fn samples(function: &str) -> Vec<Sample> {
    let mut samples = every_sample();
    samples.retain(|sample| sample.function == function);
    samples
}

/// The body of a sample by its folder and name: `event-webhook/sent`.
pub fn sample(name: &str) -> Vec<u8> {
    let path = root().join(format!("{name}.json"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// Name, message id and status key of every sample.
const KEYS: &str = "
event-webhook/clicked                 api-337-919209209291-417c614cf4ae2688c47c4098091f9d04-1704877390   RCS#clicked#1704877756000.1dONkLwNsio7RWCw6sKiMQ
event-webhook/delivered               api-337-919209209291-3c9094b5cd72fdcaafbb633502afa672-1704876827   RCS#delivered
event-webhook/dialer_click            api-337-919209209291-417c614cf4ae2688c47c4098091f9d04-1704877390   RCS#clicked#1704877907000.E8GbZieUE15Y8_K8S1YGmg
event-webhook/failed                  api-77865-919209209291-7ccfc842d1203d1f7f45cb5979e9c57b-1691766276 RCS#failed
event-webhook/not_sent                api-77865-919209209291-7ccfc842d1203d1f7f45cb5979e9c57b-1691766276 RCS#not_sent
event-webhook/read                    api-337-919209209291-4f3406fc8aede5feef7801bfb75cfb97-1704877442   RCS#read
event-webhook/reply                   api-337-919209209291-417c614cf4ae2688c47c4098091f9d04-1704877390   RCS#clicked#1704878040000.Pzxtk73x5KHE1Ksm9TVgFA
event-webhook/sent                    api-337-91920920929-3c9094b5cd72fdcaafbb633502afa672-1704876827    RCS#sent
fallback-sms/clicked                  api-337-918989898989-9c64eaa99bd7478ebb3936790c9abb78-1745396579   SMS#clicked#1745402753000.fbvJ8b1SzgTJ5nAtxYkOqg
fallback-sms/delivered                sms-337-4b285fb81844-fG2uBk2yZaj3TkwN-0efbe2a86-1762494360         SMS#delivered
fallback-sms/failed                   sms-337-4b285fb81844-fG2uBk2yZaj3TkwN-0efbe2a86-1762494360         SMS#failed
fallback-sms/sent                     sms-337-4b285fb81844-fG2uBk2yZaj3TkwN-0efbe2a86-1762494360         SMS#sent
incoming-webhook/audio                MxZ1GbicGSQ1-Y0v1Ykhc5jQ                                           RCS#received#1708683532677.gAb7cWhk7pRx7skMpeb_Gw
incoming-webhook/contact_file         MxsNby9QVrT8y7wGA0DNGGKA                                           RCS#received#1708685558205.GF3IK2jYeXz__1EerqWkkg
incoming-webhook/contact_text         Mxff1kVthpTPCfEXOABYEWeA                                           RCS#received#1708685816004.dinlZ8z8xdDPzb78pLE5Xg
incoming-webhook/emoji                MxXiODXzJUR42jX=6ZeIAeqw                                           RCS#received#1708681750341.YnmwapNt8BqF5V6gBbgDFA
incoming-webhook/gif                  MxXKrq2MgYTbqsUfXzUwWYPg                                           RCS#received#1708682136369.21-vh7dxDKFkgq8LOWrcVQ
incoming-webhook/image                MxQT995BvzTsqcpe-21oE0wA                                           RCS#received#1708675207299.vTEyzvlYuDaj2VQuGbwfKA
incoming-webhook/java_file            MxA2pVZPMSQW2Xcz16LFFxiQ                                           RCS#received#1708685047935.uPDuomA5NRVX0_a3Ke4vkg
incoming-webhook/location             MxF5mGBQsfQpygOdyLGeVkZw                                           RCS#received#1708685490505.gA1czvdFHi74b87NCISleA
incoming-webhook/pdf                  MxSYhAOHBiSfWJIqNhjL4Taw                                           RCS#received#1708684413874.hyOEfZFix-FS2r9r1IStAA
incoming-webhook/sticker              MxhKEgbl1iR96k9dlpbSYAmQ                                           RCS#received#1708682613996.hT7_bIFRuSMj4ca50xP_NQ
incoming-webhook/text                 MxDB2zvbOSQbKVMUsKCplu3w                                           RCS#received#1708675048204.-fnEW_znU1LF0Yv3iltzVw
incoming-webhook/text_file            Mx9bsAlq3vSfaNRYBpRMU7Og                                           RCS#received#1708684526506.hSNuAoRonpCdCkqNLSigqA
incoming-webhook/url_click            MxYCqkrTseTPOSfw9lvlLBaw                                           RCS#clicked#1708673752001.0dEc06u9ot5IHcu4M8cGTg
incoming-webhook/video                MxAy54yPx=QiOI9FMTzWpM4g                                           RCS#received#1708680651935.3gemzau-d90GtgstJgQq2A
incoming-webhook/word                 MxkpDvH3PJR7CJDh1gZ9jl4w                                           RCS#received#1708684719054.0LwnvSQ1QbDpvR2GYtel3Q
incoming-webhook/xlsx                 Mxg5wr5-4PSRy7HgMu2VvodQ                                           RCS#received#1708684649781.lAkpkX2Bn6szPtOFTm3aag
incoming-webhook-whatsapp/answer      ABEGkZlgQyWAAgo-sDVSUOa9jH9z                                       WHATSAPP#received#1567090844000.WC2idHean1G9oke7FXW61Q
incoming-webhook-whatsapp/audio       ABEGkZlgQyWAAgo-sDVSUOa9jH3z                                       WHATSAPP#received#1567090838000.8UnQO78BtXyh4x3xbHGQgg
incoming-webhook-whatsapp/button      ABEGkZlgQyWAAgo-sDVSUOa9jH7z                                       WHATSAPP#clicked#1725950000000.EzH8NrRPqofX4g10jQgvSw
incoming-webhook-whatsapp/button_text ABEGkZlgQyWAAgo-sDVSUOa9jH8z                                       WHATSAPP#clicked#1725950001000.BoqqcdJ77EBOpHThNnRCBQ
incoming-webhook-whatsapp/document    ABEGkZlgQyWAAgo-sDVSUOa9jH4z                                       WHATSAPP#received#1567090839000.AXSWoOKGDeSHRPAXhAEXkw
incoming-webhook-whatsapp/image       ABEGkZlgQyWAAgo-sDVSUOa9jH1z                                       WHATSAPP#received#1567090836000.cJTUl2n4T5LjZZP6JniB2A
incoming-webhook-whatsapp/location    ABEGkZlgQyWAAgo-sDVSUOa9jH5z                                       WHATSAPP#received#1567090840000.hJNWEGs9kGPYOdPGq3ZJPg
incoming-webhook-whatsapp/reaction    ABEGkZlgQyWAAgo-sDVSUOa9jH6z                                       WHATSAPP#received#1567090841000.890GZmUFW889o7u1XiHlaA
incoming-webhook-whatsapp/text        ABEGkZlgQyWAAgo-sDVSUOa9jH0z                                       WHATSAPP#received#1567090835000.mV8mv36YnJklV8PN-un1ng
incoming-webhook-whatsapp/video       ABEGkZlgQyWAAgo-sDVSUOa9jH2z                                       WHATSAPP#received#1567090837000.c43igvfJVaqvAVzwj2Z-qw
delivery-status/delivered             bab1e073-51c9-4566-8008-30d33b6bedfd                               WHATSAPP#delivered
delivery-status/failed                f12a9c22-8b37-4b75-bd1d-12ab45c90877                               WHATSAPP#failed
delivery-status/read                  3694d58b-fc29-4563-b0d4-923c2ae43555                               WHATSAPP#read
delivery-status/sent                  859c535b-8d46-46ed-9afb-9082262a8dfb                               WHATSAPP#sent
rcs-callback/blocked_duplicate_status 7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b14                               RCS#blocked
rcs-callback/blocked_duplicate_type   7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b15                               RCS#blocked
rcs-callback/blocked_prepaid_account  7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b13                               RCS#blocked
rcs-callback/blocked_prepaid_client   7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b12                               RCS#blocked
rcs-callback/delivered                7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b01                               RCS#delivered
rcs-callback/error_502                7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b19                               RCS#failed
rcs-callback/error_503                7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b20                               RCS#failed
rcs-callback/exception_401            7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b16                               RCS#failed
rcs-callback/exception_403            7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b17                               RCS#failed
rcs-callback/exception_404            7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b18                               RCS#failed
rcs-callback/fallback_sms_delivered   7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b17                               SMS#delivered
rcs-callback/fallback_sms_sent        7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b17                               SMS#sent
rcs-callback/inbound_image            7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b22                               RCS#received#evt-22-in
rcs-callback/inbound_location         7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b24                               RCS#received#evt-24-in
rcs-callback/inbound_text             7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b21                               RCS#received#evt-21-in
rcs-callback/inbound_video            7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b23                               RCS#received#evt-23-in
rcs-callback/outbound_audio           7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b04                               RCS#sent
rcs-callback/outbound_basic           7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b10                               RCS#sent
rcs-callback/outbound_carousel        7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b09                               RCS#sent
rcs-callback/outbound_contact         7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b06                               RCS#sent
rcs-callback/outbound_document        7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b05                               RCS#sent
rcs-callback/outbound_image           7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b02                               RCS#sent
rcs-callback/outbound_location        7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b07                               RCS#sent
rcs-callback/outbound_richCard        7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b08                               RCS#sent
rcs-callback/outbound_single          7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b11                               RCS#sent
rcs-callback/outbound_text            7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b01                               RCS#sent
rcs-callback/outbound_video           7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b03                               RCS#sent
rcs-callback/read                     7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b01                               RCS#read
rcs-callback/suggestion_link          7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b08                               RCS#clicked#evt-08-tap-1
rcs-callback/suggestion_reply         7d3f0c6e-2b51-4c1a-9a50-1f6f0c2f9b08                               RCS#clicked#evt-08-tap-2
email-event/bounced                   15536250111702804                                                        EMAIL#bounced#1553681700000.4iD0lSDH_X-y40NYSkpI2g
email-event/clicked                   15543162084122748                                                        EMAIL#clicked#1554376443000.pEUCSeAk_37tI4qiIPB8Ag
email-event/dropped                   15536250111702810                                                        EMAIL#dropped#1553681800000.q42AUKlAMjRTxlBNEw605g
email-event/invalid                   15536250111702811                                                        EMAIL#invalid#1553681800000.bn8QQ0P8s7_Xm_fc9aPH-g
email-event/old_sent                  14551290015805717                                                        EMAIL#sent#zVGw3SORRlHOxIBmRpb30A
email-event/opened                    15543162084122749                                                        EMAIL#opened#1554375863000.k3HDGbj9Apa1LJHtssVG9Q
email-event/opened_by_another         15543162084122749                                                        EMAIL#opened#1554375863000.Lr9CcJLVcAUPsw4YBjz0tg
email-event/sendgrid_click            15536250111702825                                                        EMAIL#clicked#1553681625000.A7V6K6uW6_TsiTndp_1NHA
email-event/sendgrid_delivered        15536250111702823                                                        EMAIL#delivered#mumDX7qjlSUbAULj-pQE3g
email-event/sendgrid_dropped          15536250111702824                                                        EMAIL#dropped#1553681625000.qv3Riwjw5ycMRrd-w7AJng
email-event/sent                      15536250111702803                                                        EMAIL#sent#CCllEt7iXt0lOU5H4i6Dzw
email-event/spam                      15536250111702813                                                        EMAIL#spam#1553681800000.7t4w0AmJAMYPUmoQ6CH65Q
email-event/unsubscribed              15536250111702812                                                        EMAIL#unsubscribed#1553681800000.7t4w0AmJAMYPUmoQ6CH65Q
event-webhook-paytm/sms_delivered     rec_7a1c93de20                                                           SMS#delivered
event-webhook-paytm/sms_failed        rec_44b8f1ce07                                                           SMS#failed
incoming-webhook-whatsapp/interactive_button wamid.int1                                                               WHATSAPP#clicked#1750238700000.MwBkfVLN4js4gRZ4ZiWCDQ
incoming-webhook-whatsapp/interactive_list wamid.int2                                                               WHATSAPP#clicked#1750238701000.aZHPx_nt4zqX8T2vcO8QyA
incoming-webhook-whatsapp/text_as_list wamid.t9                                                                 WHATSAPP#received#1750238703000.q7oN3cQiS_juLsdtLIEJpg
incoming-webhook-whatsapp/voice       wamid.v1                                                                 WHATSAPP#received#1750238704000.Uz07BNNr0YpCTRYtuYazaA
incoming-webhook-whatsapp/without_number wamid.nonumber1                                                          WHATSAPP#received#1782282800000.bz-2XgPeAm-vLiVACqqOOA
incoming-webhook-whatsapp/without_type wamid.unknown1                                                           WHATSAPP#received#1782282738000.iBcmEBQdWYJKkFrS420aPg
rbm-event/airtel_delivered            01kns4smzq7zewfbqy6t000001                                         RCS#delivered
rbm-event/airtel_error                01kns4smzq7zewfbqy6t000004                                         RCS#failed
rbm-event/airtel_expired              01kns4smzq7zewfbqy6t000003                                         RCS#expired#1748970185123.lFDFBilsdpjLSmUA5a0WnQ
rbm-event/airtel_read                 01kns4smzq7zewfbqy6t000001                                         RCS#read
rbm-event/airtel_tap                  MxAirtelTap0000000000005                                           RCS#clicked#1748970305123.HDoXFohLQONcX2KHOjEJDw
rbm-event/airtel_template             01kpz85rangx4j0sfwdr000007                                         RCS#template_approved#1748970425558.Lua_w2ZsF6BQejNNa1SRFg
rbm-event/airtel_text                 MxAirtelText000000000006                                           RCS#received#1748970365123.nQ__24InEnckPKdVQwpqEA
rbm-event/google_delivered            57bed79e-55ba-46fe-b88a-000000000001                               RCS#delivered
rbm-event/google_expired              57bed79e-55ba-46fe-b88a-000000000011                               RCS#expired#5f0c2f9b-0011-4a50-9a50-1f6f0c2f9b01
rbm-event/google_failed               57bed79e-55ba-46fe-b88a-000000000003                               RCS#failed
rbm-event/google_file                 MxGoogleFile000000000001                                           RCS#received#1748959685123.xspCzFH_qlMMlSqsV-HOyA
rbm-event/google_is_typing            5f0c2f9b-0004-4a50-9a50-1f6f0c2f9b01                               RCS#is_typing#5f0c2f9b-0004-4a50-9a50-1f6f0c2f9b01
rbm-event/google_location             MxGoogleLocation00000001                                           RCS#received#1748959745123.loCWyuaD3bp6CwHbM8dWKg
rbm-event/google_read                 57bed79e-55ba-46fe-b88a-000000000001                               RCS#read
rbm-event/google_revoke_failed        57bed79e-55ba-46fe-b88a-000000000012                               RCS#ttl_expiration_revoke_failed#5f0c2f9b-0012-4a50-9a50-1f6f0c2f9b01
rbm-event/google_tap                  MxGoogleTap0000000000001                                           RCS#clicked#1748959805123.xpLCyod0bYncWOMQM7Cirg
rbm-event/google_text                 MxGoogleText000000000001                                           RCS#received#1748959565123.q1EfefBYNf9-DWiProdcug
rbm-event/google_text_event_id        5f0c2f9b-0007-4a50-9a50-1f6f0c2f9b01                               RCS#received#5f0c2f9b-0007-4a50-9a50-1f6f0c2f9b01
rbm-event/google_unsubscribe          5f0c2f9b-0005-4a50-9a50-1f6f0c2f9b01                               RCS#unsubscribe#5f0c2f9b-0005-4a50-9a50-1f6f0c2f9b01
rbm-event/jio_delivered               ecca1e00-3293-49f9-896e-000000000001                               RCS#delivered
rbm-event/jio_expired                 ecca1e00-3293-49f9-896e-000000000004                               RCS#expired#MxJioEvent0000000000004
rbm-event/jio_failed                  ecca1e00-3293-49f9-896e-000000000003                               RCS#failed
rbm-event/jio_is_typing               MxJioEvent0000000000005                                            RCS#is_typing#MxJioEvent0000000000005
rbm-event/jio_read                    ecca1e00-3293-49f9-896e-000000000001                               RCS#read
rbm-event/jio_tap                     MxJioTap000000000000008                                            RCS#clicked#1748966885123.qJTDUfY_8G9IUm85uP2xQg
rbm-event/jio_text                    MxJioText00000000000007                                            RCS#received#1748966825123.D7NFDP_rvaxerV0fkEtIuw
rbm-event/jio_unsubscribe             account:651e8ec13800f6c7dee587c4:919999999901                      RCS#unsubscribe#1748966765123.S7sLMQXGsNNyBkm6RFAsIg
rbm-event/vi_delivered                57bed79e-55ba-46fe-b88a-000000000021                               RCS#delivered
rbm-event/vi_expired                  57bed79e-55ba-46fe-b88a-000000000026                               RCS#expired#5f0c2f9b-0026-4a50-9a50-1f6f0c2f9b01
rbm-event/vi_failed                   57bed79e-55ba-46fe-b88a-000000000022                               RCS#failed
rbm-event/vi_is_typing                5f0c2f9b-0023-4a50-9a50-1f6f0c2f9b01                               RCS#is_typing#5f0c2f9b-0023-4a50-9a50-1f6f0c2f9b01
rbm-event/vi_tap                      MxViTap00001                                                       RCS#clicked#1748963045123.017Qzww63459VeNfNdMfTw
rbm-event/vi_text                     MxViText0001                                                       RCS#received#1748963105123.Ptlbri-0lDK0LpezjCTyzA
sms-delivery/delivered                5031754312                                                         SMS#delivered
sms-delivery/dlt_failure              5031754314                                                         SMS#dlt_chain_failure#1764585450000.ggnJbTaxQl-ZgH-OhPJ6MA
sms-delivery/failed                   5031754313                                                         SMS#failed
whatsapp-cloud/button                 wamid.HBgLMTY1MDU1NTEyMzQVAgASGBQzQTRBNjU5OUFFRTAzODEwMTQ002A==  WHATSAPP#clicked#wamid.HBgLMTY1MDU1NTEyMzQVAgASGBQzQTRBNjU5OUFFRTAzODEwMTQ002A==
whatsapp-cloud/button_without_number  wamid.HBgLMTY1MDU1NTEyMzQVAgASGBQzQTRBNjU5OUFFRTAzODEwMTQ006A==  WHATSAPP#clicked#wamid.HBgLMTY1MDU1NTEyMzQVAgASGBQzQTRBNjU5OUFFRTAzODEwMTQ006A==
whatsapp-cloud/delivered              wamid.HBgLMTY1MDU1NTEyMzQVAgARGBI3QTREMEFFNzA0RTlDQjIyNUIA  WHATSAPP#delivered
whatsapp-cloud/failed                 wamid.HBgLMTY1MDU1NTEyMzQVAgARGBI1QjA2QUY2MUU0QzZERjk1M0YA  WHATSAPP#failed
whatsapp-cloud/failed_without_number  wamid.HBgLMTY1MDU1NTEyMzQVAgARGBI5QjE2MUU0QzZERjk1M0YwMEIA  WHATSAPP#failed
whatsapp-cloud/image                  wamid.HBgLMTY1MDU1NTEyMzQVAgASGBQzQTRBNjU5OUFFRTAzODEwMTQ009A==  WHATSAPP#received#wamid.HBgLMTY1MDU1NTEyMzQVAgASGBQzQTRBNjU5OUFFRTAzODEwMTQ009A==
whatsapp-cloud/interactive            wamid.HBgLMTY1MDU1NTEyMzQVAgASGBQzQTRBNjU5OUFFRTAzODEwMTQ003A==  WHATSAPP#clicked#wamid.HBgLMTY1MDU1NTEyMzQVAgASGBQzQTRBNjU5OUFFRTAzODEwMTQ003A==
whatsapp-cloud/interactive_without_number wamid.HBgLMTY1MDU1NTEyMzQVAgASGBQzQTRBNjU5OUFFRTAzODEwMTQ007A==  WHATSAPP#clicked#wamid.HBgLMTY1MDU1NTEyMzQVAgASGBQzQTRBNjU5OUFFRTAzODEwMTQ007A==
whatsapp-cloud/location               wamid.HBgLMTY1MDU1NTEyMzQVAgASGBQzQTRBNjU5OUFFRTAzODEwMTQ010A==  WHATSAPP#received#wamid.HBgLMTY1MDU1NTEyMzQVAgASGBQzQTRBNjU5OUFFRTAzODEwMTQ010A==
whatsapp-cloud/number_changed         wamid.HBgLMTY1MDU1NTEyMzQVAgASGBQzQTRBNjU5OUFFRTAzODEwMTQ011A==  WHATSAPP#received#wamid.HBgLMTY1MDU1NTEyMzQVAgASGBQzQTRBNjU5OUFFRTAzODEwMTQ011A==
whatsapp-cloud/reaction               wamid.HBgLMTY1MDU1NTEyMzQVAgASGBQzQTRBNjU5OUFFRTAzODEwMTQ004A==  WHATSAPP#received#wamid.HBgLMTY1MDU1NTEyMzQVAgASGBQzQTRBNjU5OUFFRTAzODEwMTQ004A==
whatsapp-cloud/reaction_without_number wamid.HBgLMTY1MDU1NTEyMzQVAgASGBQzQTRBNjU5OUFFRTAzODEwMTQ008A==  WHATSAPP#received#wamid.HBgLMTY1MDU1NTEyMzQVAgASGBQzQTRBNjU5OUFFRTAzODEwMTQ008A==
whatsapp-cloud/read                   wamid.HBgLMTY1MDU1NTEyMzQVAgARGBI3QTREMEFFNzA0RTlDQjIyNUIA  WHATSAPP#read
whatsapp-cloud/read_without_number    wamid.HBgLMTY1MDU1NTEyMzQVAgARGBI5QjE2MUU0QzZERjk1M0YwMEIA  WHATSAPP#read
whatsapp-cloud/sent                   wamid.HBgLMTY1MDU1NTEyMzQVAgARGBI3QTREMEFFNzA0RTlDQjIyNUIA  WHATSAPP#sent
whatsapp-cloud/sent_without_number    wamid.HBgLMTY1MDU1NTEyMzQVAgARGBI5QjE2MUU0QzZERjk1M0YwMEIA  WHATSAPP#sent
whatsapp-cloud/text                   wamid.HBgLMTY1MDU1NTEyMzQVAgASGBQzQTRBNjU5OUFFRTAzODEwMTQ001A==  WHATSAPP#received#wamid.HBgLMTY1MDU1NTEyMzQVAgASGBQzQTRBNjU5OUFFRTAzODEwMTQ001A==
whatsapp-cloud/text_without_number    wamid.HBgLMTY1MDU1NTEyMzQVAgASGBQzQTRBNjU5OUFFRTAzODEwMTQ005A==  WHATSAPP#received#wamid.HBgLMTY1MDU1NTEyMzQVAgASGBQzQTRBNjU5OUFFRTAzODEwMTQ005A==
";
